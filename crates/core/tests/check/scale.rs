//! Ten thousand assets.

use bascule_core::check::{Answer, check};
use bascule_core::facts::Facts;

use crate::site::{at, group, sound, text};

/// The baseline with so many groups of three instances in all.
fn wide(groups: usize) -> Facts {
    let mut facts = sound();
    for region in [&mut facts.home, &mut facts.away] {
        let name = region.name.to_string();
        for n in 0..groups / 2 {
            at(&mut region.compute).insert(format!("app-{n}"), group(&format!("{name}-{n}")));
        }
    }
    facts
}

#[test]
fn one_wrong_among_ten_thousand_is_found_and_nothing_else() {
    let mut facts = wide(10_000);
    let group = at(&mut facts.away.compute).get_mut("app-4321").expect("it is there");
    at(&mut group.instances)[2].image = text("sha256:old").map(Some);
    let wrong: Vec<_> = check(&facts).into_iter().filter(|c| c.answer != Answer::Holds).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0].subject, "app-4321");
}

/// As many, of which each is in one region only.
fn torn(groups: usize) -> Facts {
    let mut facts = wide(groups);
    for n in 0..groups / 2 {
        let region = if n % 2 == 0 { &mut facts.home } else { &mut facts.away };
        at(&mut region.compute).remove(&format!("app-{n}"));
    }
    facts
}

/// Nanoseconds that this thread has run for (proc(5), schedstat): what else the machine does is not in it.
fn on_processor() -> u64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    said.split(' ').next().and_then(|ns| ns.parse().ok()).expect("its first number")
}

/// Ten times the assets may take ten times as long. Asked for is less than a third of what quadratic work would take.
#[test]
fn time_grows_with_the_number_of_assets_and_not_with_its_square() {
    let time = |facts: &Facts| {
        let once = || {
            let begin = on_processor();
            assert!(!check(facts).is_empty());
            on_processor() - begin
        };
        (0..5).map(|_| once()).min().expect("five were taken")
    };
    for site in [wide, torn] {
        let (small, large) = (time(&site(1_000)), time(&site(10_000)));
        assert!(large < small * 33, "1,000: {small} ns, 10,000: {large} ns");
    }
}
