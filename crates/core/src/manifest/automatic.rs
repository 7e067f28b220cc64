//! `[automatic]`, `[witness]` and the keepers: whether and when a site moves by itself, and what that needs.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::ErrorCode;
use super::reader::{Keys, Reader, Section};
use super::rules::Facts;
use super::value::{self, quoted, show};
use super::{Automatic, Impaired, Keeper, MaxDataLoss, Mode, Witness};
use crate::tenure::timing::Timing;

pub(super) const AUTOMATIC: Keys = &[
    ("mode", "\"automatic\""),
    ("ttl", "\"3s\""),
    ("cool_down", "\"1m\""),
    ("impaired_after", "\"10s\""),
    ("impaired", "\"report\""),
    ("max_data_loss", "\"16MB\""),
];
pub(super) const WITNESS: Keys = &[("address", "\"10.77.3.41:7300\"")];
pub(super) const KEEPER: Keys = &[("name", "\"us-east-2-keeper1\""), ("address", "\"10.77.1.41:7300\"")];

/// Three renewals fit into the shortest, each with a round trip of 100 ms between regions and as much again.
const MIN_TTL: Duration = Duration::from_secs(1);
/// A region that is lost stays lost for this long at least: past a minute a person is quicker.
const MAX_TTL: Duration = Duration::from_secs(60);
const DEFAULT_TTL: Duration = Duration::from_secs(3);
/// A move that is followed by another within seconds is a fault of its own.
const MIN_COOL_DOWN: Duration = Duration::from_secs(10);
const MAX_COOL_DOWN: Duration = Duration::from_secs(86_400);
const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(60);
/// Below this a failover inside the region, which takes its cluster manager a second, counts as an impairment.
const MIN_IMPAIRED: Duration = Duration::from_secs(2);
const MAX_IMPAIRED: Duration = Duration::from_secs(3600);
const DEFAULT_IMPAIRED: Duration = Duration::from_secs(10);
/// What a failover takes after the claim: it promotes, opens, and moves the names.
const AFTER_CLAIM: Duration = Duration::from_secs(1);
/// Fewer members have no majority without one of two places.
const MIN_ENDPOINTS: usize = 3;

/// What `[automatic]` needs of the rest, with the places to underline.
#[derive(Default)]
pub(super) struct AutomaticFacts {
    /// Its mode; none without the section.
    pub mode: Option<Spanned<Mode>>,
    /// The tenure's length, as written or by default.
    pub ttl: Option<Duration>,
    /// Whether there is a `[witness]`, right or wrong.
    pub witness: bool,
    /// The keepers' names, in the order they were read.
    pub keepers: Vec<Spanned<crate::id::MemberName>>,
    /// The regions without a keeper: the place of their name, and the name.
    pub without_keeper: Vec<Spanned<String>>,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Manual, Mode::Observe, Mode::Automatic];

    /// As the manifest writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Manual => "manual",
            Mode::Observe => "observe",
            Mode::Automatic => "automatic",
        }
    }
}

impl Impaired {
    const ALL: [Impaired; 2] = [Impaired::Report, Impaired::Release];

    /// As the manifest writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Impaired::Report => "report",
            Impaired::Release => "release",
        }
    }
}

/// The section, if it is there. The outer `None` is a mistake.
pub(super) fn automatic<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Option<Automatic>> {
    if !root.has("automatic") {
        return Some(None);
    }
    let s = r.optional_section(root, "automatic", AUTOMATIC)?;
    let mode = r.read(&s, "mode", |r, f| value::choice(r, f, &Mode::ALL, Mode::as_str));
    let ttl = r.read_optional(&s, "ttl", |r, f| value::duration(r, f, MIN_TTL, MAX_TTL));
    let cool_down =
        r.read_optional(&s, "cool_down", |r, f| value::duration(r, f, MIN_COOL_DOWN, MAX_COOL_DOWN));
    let impaired_after =
        r.read_optional(&s, "impaired_after", |r, f| value::duration(r, f, MIN_IMPAIRED, MAX_IMPAIRED));
    let impaired =
        r.read_optional(&s, "impaired", |r, f| value::choice(r, f, &Impaired::ALL, Impaired::as_str));
    let max_data_loss = r.read_optional(&s, "max_data_loss", value::max_data_loss);
    r.facts.automatic.mode.clone_from(&mode);
    let ttl = ttl.map(|ttl| ttl.map_or(DEFAULT_TTL, Spanned::into_inner));
    r.facts.automatic.ttl = ttl;
    Some(Some(Automatic {
        mode: mode?.into_inner(),
        ttl: ttl?,
        cool_down: cool_down?.map_or(DEFAULT_COOL_DOWN, Spanned::into_inner),
        impaired_after: impaired_after?.map_or(DEFAULT_IMPAIRED, Spanned::into_inner),
        impaired: impaired?.map_or(Impaired::Report, Spanned::into_inner),
        max_data_loss: max_data_loss?.map_or(MaxDataLoss::Unlimited, Spanned::into_inner),
    }))
}

/// The section, if it is there. The outer `None` is a mistake.
pub(super) fn witness<'t>(r: &mut Reader, root: &Section<'t>) -> Option<Option<Witness>> {
    if !root.has("witness") {
        return Some(None);
    }
    r.facts.automatic.witness = true;
    let s = r.optional_section(root, "witness", WITNESS)?;
    let address = r.read(&s, "address", value::socket)?;
    r.facts.endpoints.push((address.clone(), "the witness".to_owned()));
    Some(Some(Witness { address: address.into_inner() }))
}

/// A region's keepers; none of them is no mistake here.
pub(super) fn keepers<'t>(r: &mut Reader, region: &Section<'t>, name: &Spanned<&str>) -> Option<Vec<Keeper>> {
    if !region.has("keepers") {
        r.facts.automatic.without_keeper.push(Spanned::new(name.span(), (*name.get_ref()).to_owned()));
        return Some(Vec::new());
    }
    let sections = r.sections(region, "keepers", KEEPER);
    let empty = sections.is_empty();
    let keepers: Vec<_> = sections.iter().map(|s| keeper(r, s)).collect();
    keepers.into_iter().collect::<Option<Vec<_>>>().filter(|_| !empty)
}

fn keeper<'t>(r: &mut Reader, s: &Section<'t>) -> Option<Keeper> {
    let name = r.read(s, "name", value::name);
    let address = r.read(s, "address", value::socket);
    if let Some(address) = &address {
        let called = name.as_ref().map_or("a keeper".to_owned(), |n: &Spanned<_>| format!("{}", n.get_ref()));
        r.facts.endpoints.push((address.clone(), format!("the keeper {called}")));
    }
    r.facts.automatic.keepers.extend(name.clone());
    Some(Keeper { name: name?.into_inner(), address: address?.into_inner() })
}

/// What a site that has keepers needs. Each is said at the mode, which asks for it.
pub(super) fn check(r: &mut Reader, facts: &Facts) {
    let Some(mode) = &facts.automatic.mode else { return };
    let (span, written) = (mode.span(), quoted(mode.get_ref().as_str()));
    let by_hand = "or delete [automatic]: then a person decides";
    match &facts.store {
        None => {}
        Some(store) if !store.is_etcd => {
            let message = format!(
                "mode = {written} needs a store that a third place votes in: two places cannot vote, since \
                 neither can tell its own isolation from the other's death"
            );
            let help = format!(
                "write [store] kind = \"etcd\", with a member in each region and one at the witness, {by_hand}"
            );
            r.error(ErrorCode::TwoPlaces, &span, message, "a file is in one place", help);
            r.note(store.kind.clone(), "the store is a file");
        }
        Some(store) => endpoints(r, store.endpoints.as_deref().unwrap_or_default().len(), store, &span),
    }
    if !facts.automatic.witness {
        let message = format!(
            "mode = {written} needs a witness: without a third place neither region can tell its own isolation \
             from the other's death"
        );
        let help = format!("add a [witness] with address = \"10.77.3.41:7300\", {by_hand}");
        r.error(ErrorCode::TwoPlaces, &span, message, "there is no [witness]", help);
    }
    for region in &facts.automatic.without_keeper {
        let name = region.get_ref();
        let message = format!("mode = {written} needs a keeper in {name}: nobody would hold its gate");
        let help = format!("add two [[regions.{name}.keepers]] with name, address, {by_hand}");
        r.error(ErrorCode::NoKeeper, &region.span(), message, "no keepers", help);
    }
    recovery(r, facts, *mode.get_ref());
    loss(r, facts, *mode.get_ref());
}

fn endpoints(r: &mut Reader, count: usize, store: &super::store::StoreFact, mode: &Range<usize>) {
    let Some(last) = store.endpoints.as_ref().and_then(|all| all.last()) else { return };
    let (message, label) = if count < MIN_ENDPOINTS {
        let message = format!(
            "the store has {count} of at least {MIN_ENDPOINTS} members: when one place is lost, the others must \
             still be a majority"
        );
        (message, "too few")
    } else if count.is_multiple_of(2) {
        let message = format!(
            "the store has {count} members, an even number: one more that may fail, and not one more that may \
             be missed"
        );
        (message, "an even number")
    } else {
        return;
    };
    let help = "write three endpoints: a member in each region, and one at the witness";
    r.error(ErrorCode::StoreMembers, &last.span(), message, label, help);
    r.note(mode.clone(), "this mode needs a majority");
}

/// A recovery time that the protocol can't keep is no promise.
fn recovery(r: &mut Reader, facts: &Facts, mode: Mode) {
    let (Mode::Automatic, Some(ttl), Some((rto, _))) = (mode, facts.automatic.ttl, &facts.rto_and_pause)
    else {
        return;
    };
    let claim = Timing::of(ttl).claim_after();
    let needed = claim + AFTER_CLAIM;
    if *rto.get_ref() >= needed {
        return;
    }
    // Up to whole seconds, which both are certain to be enough.
    let enough = Duration::from_secs(needed.as_secs() + u64::from(needed.subsec_nanos() > 0));
    r.error(
        ErrorCode::RtoBelowClaim,
        &rto.span(),
        format!(
            "`objective.rto` is {}, but by itself a site moves {} ms after a loss at the earliest (ttl {}, the \
             clocks' drift and the gate's reaction), and a failover takes a second",
            show(*rto.get_ref()),
            claim.as_millis(),
            show(ttl),
        ),
        "shorter than a failover",
        format!("write rto = \"{}\" or more, or a shorter automatic.ttl", show(enough)),
    );
}

/// A recovery point within which no lost region is ever left. The newest write that the standby has is as old as a
/// keeper's last probe, `renew`, and after its last renewal the region may have acknowledged writes for `ttl`. A limit in
/// bytes (`max_data_loss`) bounds what is lost, and tells nobody how old it is.
fn loss(r: &mut Reader, facts: &Facts, mode: Mode) {
    let (Mode::Automatic, Some(ttl), Some(rpo)) = (mode, facts.automatic.ttl, &facts.rpo) else { return };
    let needed = ttl + Timing::of(ttl).renew;
    if *rpo.get_ref() >= needed {
        return;
    }
    let enough = Duration::from_millis(u64::try_from(needed.as_millis()).unwrap_or(u64::MAX) + 999);
    let enough = Duration::from_secs(enough.as_secs());
    r.error(
        ErrorCode::RpoBelowHold,
        &rpo.span(),
        format!(
            "`objective.rpo` is {}, but a region may acknowledge writes for {} after its last renewal (ttl), and the \
             standby's newest is up to {} ms older (a third of it): by itself no lost region would ever be left",
            show(*rpo.get_ref()),
            show(ttl),
            Timing::of(ttl).renew.as_millis(),
        ),
        "shorter than a hold lasts",
        format!("write rpo = \"{}\" or more, or a shorter automatic.ttl", show(enough)),
    );
}
