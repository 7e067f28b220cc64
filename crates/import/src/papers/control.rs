//! What watches, where code is kept, and what a move calls beside the regions.

use std::collections::BTreeMap;

use bascule_core::asset::AssetKind;
use bascule_core::facts::{
    Control, ControlPlane, ControlPlaneKind, Fact, Listing, Monitoring, Place, Repository, Source,
};

use super::{Reader, label, source};
use crate::terraform::{Declared, Facts, Known, Resource};

/// Where Route 53 takes changes; it answers everywhere (AWS Fault Isolation Boundaries, appendix A, "Amazon Route 53").
const ROUTE_53: &str = "us-east-1";

fn no_code<T>() -> Fact<T> {
    Fact::not_observed("no code is among the papers", Source::Nowhere)
}

/// All of a kind that belongs to no region. The code need not have what a service elsewhere does, so none is unknown.
fn listing<T>(reader: &Reader<'_>, kind: AssetKind, make: impl Fn(&Resource) -> T) -> Listing<T> {
    let Some(links) = &reader.links else { return no_code() };
    let of_kind = links.declared.resources.iter().filter(|resource| resource.kind == Some(kind));
    let mut found = BTreeMap::new();
    let mut from = None;
    for resource in of_kind {
        from = from.or_else(|| Some(source(&resource.place)));
        let name = match &resource.facts {
            Facts::Repository { name, .. } | Facts::HelmRelease { name, .. } => name.get().cloned(),
            _ => None,
        };
        found.entry(name.unwrap_or_else(|| label(resource).to_owned())).or_insert_with(|| make(resource));
    }
    match from {
        Some(from) => Fact::seen(found, reader.papers.at, from),
        None => Fact::not_observed("the code declares none", Source::Nowhere),
    }
}

pub(super) fn monitoring(reader: &Reader<'_>) -> Listing<Monitoring> {
    listing(reader, AssetKind::Monitoring, |resource| {
        let place = resource.region.clone().map(|region| match region.parse() {
            Ok(region) => vec![Place::Region(region)],
            Err(_) => vec![Place::Elsewhere(region)],
        });
        // A chart is where its cluster is, which its own region does not say.
        let place = match &resource.facts {
            Facts::HelmRelease { .. } => Known::unknown("which cluster the chart is installed in is unknown"),
            _ => place,
        };
        Monitoring {
            places: reader.known(&resource.place, place),
            targets: reader.running(&resource.place),
            targets_up: reader.running(&resource.place),
        }
    })
}

pub(super) fn repository(reader: &Reader<'_>) -> Listing<Repository> {
    listing(reader, AssetKind::Repository, |resource| {
        let from = source(&resource.place);
        let github = resource.type_name.starts_with("github_");
        Repository {
            reachable: reader.running(&resource.place),
            places: match github {
                true => Fact::seen(vec![Place::Elsewhere("GitHub".to_owned())], reader.papers.at, from),
                false => Fact::not_observed("where it is kept is not in the papers", from),
            },
            drift: reader.running(&resource.place),
        }
    })
}

/// A team that comes with papers has no keepers and no store yet.
pub(super) fn control(reader: &Reader<'_>) -> Control {
    let planes = match &reader.links {
        Some(links) => planes(reader, links.declared),
        None => no_code(),
    };
    Control {
        voters: Fact::not_observed("papers do not show who votes", Source::Nowhere),
        keepers: Fact::not_observed("papers do not show keepers", Source::Nowhere),
        planes,
        fence: Fact::not_observed("papers do not show keepers", Source::Nowhere),
    }
}

fn planes(reader: &Reader<'_>, declared: &Declared) -> Fact<Vec<ControlPlane>> {
    let mut planes = Vec::new();
    for backend in &declared.backends {
        let from = source(&backend.place);
        let bucket = backend.bucket.get().cloned().flatten();
        let name = format!("{} ({})", bucket.as_deref().unwrap_or(&backend.kind), backend.root);
        let places = match (&backend.region, backend.kind.as_str()) {
            (Known::Is(Some(region)), _) => match region.parse() {
                Ok(region) => Fact::seen(vec![Place::Region(region)], reader.papers.at, from),
                Err(_) => Fact::not_observed(format!("{region:?} is no region's name"), from),
            },
            (Known::Is(None), "local") => {
                Fact::not_observed("it is a file on the machine of whoever ran Terraform last", from)
            }
            (Known::Is(None), kind) => {
                Fact::not_observed(format!("the backend {kind} names no region"), from)
            }
            (Known::Unknown { why }, _) => Fact::not_observed(why, from),
        };
        planes.push(ControlPlane { kind: ControlPlaneKind::StateStore, name, places });
    }
    let record = declared.resources.iter().find(|resource| resource.type_name == "aws_route53_record");
    if let Some(record) = record {
        let region = ROUTE_53.parse().expect("a label");
        let places = Fact::seen(vec![Place::Region(region)], reader.papers.at, source(&record.place));
        let name = "Route 53".to_owned();
        planes.push(ControlPlane { kind: ControlPlaneKind::Names, name, places });
    }
    match planes.first().map(|plane| plane.places.from.clone()) {
        Some(from) => Fact::seen(planes, reader.papers.at, from),
        None => Fact::not_observed("the code names no backend and no name", Source::Nowhere),
    }
}
