//! The gate against a real HAProxy.

use bascule_core::id::Epoch;
use bascule_core::observation::GateState;
use bascule_core::ports::{Gate as _, PortError};
use bascule_providers::haproxy::{GateConfig, HaproxyGate};
use bascule_providers::patroni::http_client;
use tokio::io::AsyncReadExt as _;

use crate::haproxy::Balancer;
use crate::process::free_port;

#[tokio::test]
async fn a_gate_is_closed_from_boot_until_it_is_opened_to_the_primary() {
    let balancer = Balancer::start().await;
    assert!(balancer.session().await.is_none(), "closed at boot");
    balancer.members[1].leads(true);
    balancer.gate.set(GateState::Local, Epoch(1)).await.unwrap();
    let (_session, who) = balancer.session().await.expect("it returned, so a server is up");
    assert_eq!(who, "db2");
    let seen = balancer.gate.observe().await.seen().copied().unwrap();
    assert_eq!((seen.state, seen.epoch, seen.servers_up), (GateState::Local, Epoch(1), 1));
}

#[tokio::test]
async fn opening_does_not_wait_for_the_next_check() {
    let balancer = Balancer::start_with("inter 250ms downinter 1h").await;
    balancer.members[0].leads(true);
    balancer.gate.set(GateState::Local, Epoch(1)).await.expect("a check comes in an hour");
    assert_eq!(balancer.session().await.unwrap().1, "db1");
}

#[tokio::test]
async fn closing_cuts_every_session_that_came_in_before() {
    let balancer = Balancer::start().await;
    balancer.members[0].leads(true);
    for (open, who) in [(GateState::Local, "db1"), (GateState::Remote, "peer")] {
        balancer.gate.set(open, Epoch(1)).await.unwrap();
        let mut sessions = Vec::new();
        for _ in 0..20 {
            let (session, said) = balancer.session().await.unwrap();
            assert_eq!(said, who);
            sessions.push(session);
        }
        balancer.gate.set(GateState::Closed, Epoch(1)).await.unwrap();
        for mut session in sessions {
            assert!(session.read_u8().await.is_err(), "{who} still has a session");
        }
        assert!(balancer.session().await.is_none());
    }
}

#[tokio::test]
async fn passing_on_cuts_the_sessions_to_the_regions_own_database() {
    let balancer = Balancer::start().await;
    balancer.members[0].leads(true);
    balancer.gate.set(GateState::Local, Epoch(1)).await.unwrap();
    let (mut session, _) = balancer.session().await.unwrap();
    balancer.gate.set(GateState::Remote, Epoch(2)).await.unwrap();
    assert!(session.read_u8().await.is_err());
    assert_eq!(balancer.session().await.unwrap().1, "peer");
}

#[tokio::test]
async fn a_stale_epoch_changes_nothing() {
    let balancer = Balancer::start().await;
    balancer.gate.set(GateState::Remote, Epoch(5)).await.unwrap();
    let refused = balancer.gate.set(GateState::Local, Epoch(4)).await;
    assert!(matches!(refused, Err(PortError::Refused(ref why)) if why.contains("stale")), "{refused:?}");
    let seen = balancer.gate.observe().await.seen().copied().unwrap();
    assert_eq!((seen.state, seen.epoch), (GateState::Remote, Epoch(5)));
    balancer.gate.set(GateState::Remote, Epoch(5)).await.expect("the same again is no change");
}

#[tokio::test]
async fn a_gate_that_opens_to_nobody_does_not_say_done() {
    let balancer = Balancer::start().await;
    let opened = balancer.gate.set(GateState::Local, Epoch(1)).await;
    assert!(matches!(opened, Err(PortError::Unknown(_))), "{opened:?}");
}

#[tokio::test]
async fn a_member_that_only_seemed_to_lead_is_taken_out_by_the_checks() {
    let mut balancer = Balancer::start().await;
    balancer.members[0].leads(true);
    balancer.gate.set(GateState::Local, Epoch(1)).await.unwrap();
    let (mut session, _) = balancer.session().await.unwrap();
    balancer.members[0].leads(false);
    let gate = &balancer.gate;
    let out = async || gate.observe().await.seen().filter(|seen| seen.servers_up == 0).copied();
    balancer.part.answers("the checks", out).await;
    assert!(session.read_u8().await.is_err(), "its sessions are cut with it");
}

#[tokio::test]
async fn a_load_balancer_that_is_gone_is_not_observed_and_nothing_is_set() {
    let gone = GateConfig {
        admin: ([127, 0, 0, 1], free_port()).into(),
        map: "gate.map".to_owned(),
        local: "db_local".to_owned(),
        remote: "db_remote".to_owned(),
        members: Vec::new(),
    };
    let gate = HaproxyGate::new(gone, http_client().unwrap());
    assert!(gate.observe().await.seen().is_none());
    let set = gate.set(GateState::Closed, Epoch(1)).await;
    assert!(matches!(set, Err(PortError::Refused(_))), "{set:?}");
}
