//! A site that moves by itself: the right manifest of one, and wrong ones.

use std::time::Duration;

use bascule_core::manifest::{
    Automatic, EtcdClientCertificate, EtcdTls, EtcdUser, Impaired, Manifest, MaxDataLoss, Mode, Store,
};

use crate::{RIGHT, Wrong, right, wrong};

const STORE: &str = r#"[store]
kind = "etcd"
endpoints = ["http://10.77.1.6:2379", "http://10.77.2.6:2379", "http://10.77.3.6:2379"]
"#;
const MORE: &str = r#"
[[regions.us-east-2.keepers]]
name = "us-east-2-keeper1"
address = "10.77.1.41:7300"

[[regions.us-east-2.keepers]]
name = "us-east-2-keeper2"
address = "10.77.1.42:7300"

[[regions.us-west-1.keepers]]
name = "us-west-1-keeper1"
address = "10.77.2.41:7300"

[automatic]
mode = "automatic"
ttl = "3s"

[witness]
address = "10.77.3.41:7300"
"#;

/// The golden manifest, of a site that has keepers.
fn guarded() -> String {
    RIGHT.replace("[store]\nkind = \"sqlite\"\npath = \"bascule.db\"\n", STORE) + MORE
}

fn with(from: &str, to: &str) -> String {
    let text = guarded();
    assert_eq!(text.matches(from).count(), 1, "{from:?} is not there just once");
    text.replacen(from, to, 1)
}

fn automatic(manifest: &Manifest) -> &Automatic {
    manifest.automatic.as_ref().expect("it moves by itself")
}

/// Manifests that are written and read back.
pub fn manifests() -> Vec<Manifest> {
    let base = Manifest::parse(&guarded()).expect("the guarded manifest is right");
    let change = |act: &dyn Fn(&mut Manifest, &mut Automatic)| {
        let mut manifest = base.clone();
        let mut automatic = automatic(&manifest).clone();
        act(&mut manifest, &mut automatic);
        manifest.automatic = Some(automatic);
        manifest
    };
    let tls = |client| Some(EtcdTls { ca_file: "a ca.pem".into(), client });
    let secure = |m: &mut Manifest, user, tls| {
        let url = |n: u8| format!("https://store-{n}.events.test:2379");
        let text = with(r#""http://10.77.1.6:2379", "http://10.77.2.6:2379", "http://10.77.3.6:2379""#, "")
            .replace(
                "endpoints = []",
                &format!("endpoints = {:?}\nca_file = \"x\"", [url(1), url(2), url(3)]),
            );
        let Store::Etcd { endpoints, .. } = Manifest::parse(&text).expect("right over TLS").store else {
            panic!("not etcd")
        };
        m.store = Store::Etcd { endpoints, user, tls };
    };
    let certificate = EtcdClientCertificate { cert_file: "c".into(), key_file: "k".into() };
    let user = EtcdUser { name: "bascule".to_owned(), password_file: "p".into() };
    let mut all = vec![
        base.clone(),
        change(&|m, _| secure(m, None, tls(None))),
        change(&|m, _| secure(m, Some(user.clone()), tls(Some(certificate.clone())))),
        change(&|_, a| a.impaired = Impaired::Release),
        change(&|_, a| (a.ttl, a.cool_down) = (Duration::from_millis(1500), Duration::from_secs(3600))),
        change(&|m, a| {
            a.mode = Mode::Observe;
            m.objective.rto = m.objective.max_pause;
            m.objective.rpo = Duration::ZERO;
        }),
    ];
    all.extend(
        [0, 1, 1024, 16 << 20, (16 << 20) + 1, 3 << 30].map(|bytes| {
            change(&|_, a| (a.max_data_loss, a.mode) = (MaxDataLoss::Bytes(bytes), Mode::Manual))
        }),
    );
    // Keepers may be described before the site is to have them.
    let mut without = base.clone();
    without.automatic = None;
    all.push(without);
    all
}

#[test]
fn the_guarded_manifest_becomes_types() {
    let manifest = Manifest::parse(&guarded()).unwrap();
    let found = automatic(&manifest);
    assert_eq!((found.mode, found.ttl), (Mode::Automatic, Duration::from_secs(3)));
    assert_eq!((found.cool_down, found.impaired_after), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((found.impaired, found.max_data_loss), (Impaired::Report, MaxDataLoss::Unlimited));
    assert_eq!(found.timing().renew, Duration::from_secs(1));
    assert_eq!(manifest.witness.as_ref().unwrap().address, "10.77.3.41:7300".parse().unwrap());
    let east = &manifest.regions[&"us-east-2".parse().unwrap()];
    let names: Vec<_> = east.keepers.iter().map(|keeper| keeper.name.as_str()).collect();
    assert_eq!(names, ["us-east-2-keeper1", "us-east-2-keeper2"]);
    let Store::Etcd { endpoints, user: None, tls: None } = &manifest.store else { panic!("{manifest:?}") };
    let urls: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(urls, ["http://10.77.1.6:2379", "http://10.77.2.6:2379", "http://10.77.3.6:2379"]);
}

#[test]
fn a_site_without_keepers_needs_none_of_it() {
    let manifest = right();
    assert_eq!((manifest.automatic, manifest.witness), (None, None));
    assert!(manifest.regions.values().all(|region| region.keepers.is_empty()));
}

#[test]
fn every_wrong_guarded_manifest_has_one_error_in_its_place_that_says_what_to_write() {
    assert!(Manifest::parse(&guarded()).is_ok());
    for Wrong { law, write: (from, to), code, underlined, message, help } in WRONG {
        let text = with(from, to);
        let errors = wrong(&text);
        let [error] = errors.errors() else { panic!("{law}: {errors}") };
        let found = (error.code.as_str(), &text[error.span.clone()], &*error.message, &*error.help);
        assert_eq!(found, (*code, *underlined, *message, *help), "{law}");
        assert!(!error.label.is_empty(), "{law}: nothing stands under the place");
    }
}

#[test]
fn a_file_store_and_a_missing_witness_both_say_why_two_places_cannot_vote() {
    let text = RIGHT.to_owned() + &MORE.replace("[witness]\naddress = \"10.77.3.41:7300\"\n", "");
    let errors = wrong(&text);
    let codes: Vec<_> = errors.errors().iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["BSC-M030", "BSC-M030"]);
    for error in errors.errors() {
        let why = "neither can tell its own isolation from the other's death";
        let why_too = "neither region can tell its own isolation from the other's death";
        assert!(error.message.contains(why) || error.message.contains(why_too), "{error}");
        assert_eq!(&text[error.span.clone()], "\"automatic\"");
    }
}

#[test]
fn a_login_in_an_endpoint_is_never_shown() {
    let text = with("\"http://10.77.2.6:2379\"", "\"http://me:hunter2@10.77.2.6:2379\"");
    let errors = wrong(&text);
    for said in [errors.to_string(), format!("{errors:?}"), errors.shown().to_owned()] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// BSC-M027 to BSC-M034, M040, and older codes in the new sections.
pub const WRONG: &[Wrong] = &[
    Wrong {
        law: "a member of etcd has no port",
        write: (r#""http://10.77.2.6:2379""#, r#""http://10.77.2.6""#),
        code: "BSC-M027",
        underlined: r#""http://10.77.2.6""#,
        message: "`store.endpoints` has something in it that is not an endpoint of etcd",
        help: r#"write http:// or https://, a name or an IPv4 address, and a port: "http://10.77.1.6:2379""#,
    },
    Wrong {
        law: "a member of etcd stands twice",
        write: (r#""http://10.77.2.6:2379""#, r#""http://10.77.1.6:2379""#),
        code: "BSC-M019",
        underlined: r#""http://10.77.1.6:2379""#,
        message: r#"the store's endpoint "http://10.77.1.6:2379" stands twice"#,
        help: "write the address that the other member has",
    },
    Wrong {
        law: "a store over etcd has a path",
        write: (r#"kind = "etcd""#, "kind = \"etcd\"\npath = \"bascule.db\""),
        code: "BSC-M004",
        underlined: "path",
        message: "[store] has no key `path`",
        help: "delete it; the keys of [store] are kind, endpoints, user, password_file, ca_file, cert_file, key_file",
    },
    Wrong {
        law: "a user has no password",
        write: (r#"kind = "etcd""#, "kind = \"etcd\"\nuser = \"bascule\""),
        code: "BSC-M028",
        underlined: r#""bascule""#,
        message: "[store] has `user`, but not `password_file`",
        help: "add password_file, or delete user",
    },
    Wrong {
        law: "a password stands in the manifest",
        write: (r#"kind = "etcd""#, "kind = \"etcd\"\npassword = \"x\""),
        code: "BSC-M007",
        underlined: "password",
        message: "[store] holds a secret, `password`",
        help: r#"put the secret into a file, and name the file: password_file = "secrets/etcd""#,
    },
    Wrong {
        law: "an authority is named for members without TLS",
        write: (r#"kind = "etcd""#, "kind = \"etcd\"\nca_file = \"ca.pem\""),
        code: "BSC-M029",
        underlined: r#""ca.pem""#,
        message: "`store.ca_file` is there, but the endpoints are http://",
        help: "write https:// endpoints, or delete ca_file",
    },
    Wrong {
        law: "a client's certificate has no TLS to be used in",
        write: (r#"kind = "etcd""#, "kind = \"etcd\"\ncert_file = \"c.pem\"\nkey_file = \"k.pem\""),
        code: "BSC-M029",
        underlined: r#""c.pem""#,
        message: "`store.cert_file` is there, but the endpoints are not https://",
        help: "write https:// endpoints and a ca_file, or delete cert_file and key_file",
    },
    Wrong {
        law: "one member of etcd has TLS",
        write: (r#""http://10.77.2.6:2379""#, r#""https://10.77.2.6:2379""#),
        code: "BSC-M029",
        underlined: r#""https://10.77.2.6:2379""#,
        message: "some endpoints of the store are http://, others https://",
        help: "write https:// for all of them, and a ca_file",
    },
    Wrong {
        law: "TLS without an authority",
        write: (
            r#""http://10.77.1.6:2379", "http://10.77.2.6:2379", "http://10.77.3.6:2379""#,
            r#""https://a.test:2379", "https://b.test:2379", "https://c.test:2379""#,
        ),
        code: "BSC-M029",
        underlined: r#""https://a.test:2379""#,
        message: "the endpoints are https://, but `store.ca_file` does not say whom to believe",
        help: r#"add: ca_file = "certs/etcd-ca.pem""#,
    },
    Wrong {
        law: "a file cannot vote",
        write: (STORE, "[store]\nkind = \"sqlite\"\npath = \"bascule.db\"\n"),
        code: "BSC-M030",
        underlined: r#""automatic""#,
        message: "mode = \"automatic\" needs a store that a third place votes in: two places cannot vote, since \
                  neither can tell its own isolation from the other's death",
        help: "write [store] kind = \"etcd\", with a member in each region and one at the witness, or delete \
               [automatic]: then a person decides",
    },
    Wrong {
        law: "two regions without a witness cannot vote",
        write: ("[witness]\naddress = \"10.77.3.41:7300\"\n", ""),
        code: "BSC-M030",
        underlined: r#""automatic""#,
        message: "mode = \"automatic\" needs a witness: without a third place neither region can tell its own \
                  isolation from the other's death",
        help: "add a [witness] with address = \"10.77.3.41:7300\", or delete [automatic]: then a person decides",
    },
    Wrong {
        law: "two members are no better than one",
        write: (r#", "http://10.77.3.6:2379""#, ""),
        code: "BSC-M031",
        underlined: r#""http://10.77.2.6:2379""#,
        message: "the store has 2 of at least 3 members: when one place is lost, the others must still be a \
                  majority",
        help: "write three endpoints: a member in each region, and one at the witness",
    },
    Wrong {
        law: "four members are no better than three",
        write: (r#""http://10.77.3.6:2379""#, r#""http://10.77.3.6:2379", "http://10.77.3.7:2379""#),
        code: "BSC-M031",
        underlined: r#""http://10.77.3.7:2379""#,
        message: "the store has 4 members, an even number: one more that may fail, and not one more that may be \
                  missed",
        help: "write three endpoints: a member in each region, and one at the witness",
    },
    Wrong {
        law: "a region has no keeper",
        write: (
            "[[regions.us-west-1.keepers]]\nname = \"us-west-1-keeper1\"\naddress = \"10.77.2.41:7300\"\n",
            "",
        ),
        code: "BSC-M032",
        underlined: "us-west-1",
        message: "mode = \"automatic\" needs a keeper in us-west-1: nobody would hold its gate",
        help: "add two [[regions.us-west-1.keepers]] with name, address, or delete [automatic]: then a person \
               decides",
    },
    Wrong {
        law: "the promise is shorter than the wait",
        write: ("rto = \"60s\"\nmax_pause = \"5s\"", "rto = \"4s\"\nmax_pause = \"4s\""),
        code: "BSC-M033",
        underlined: r#""4s""#,
        message: "`objective.rto` is 4s, but by itself a site moves 3206 ms after a loss at the earliest (ttl 3s, \
                  the clocks' drift and the gate's reaction), and a failover takes a second",
        help: r#"write rto = "5s" or more, or a shorter automatic.ttl"#,
    },
    Wrong {
        law: "no loss of a region is ever within the recovery point",
        write: (r#"rpo = "5s""#, r#"rpo = "3s""#),
        code: "BSC-M040",
        underlined: r#""3s""#,
        message: "`objective.rpo` is 3s, but a region may acknowledge writes for 3s after its last renewal (ttl), and the \
                  standby's newest is up to 1000 ms older (a third of it): by itself no lost region would ever be left",
        help: r#"write rpo = "4s" or more, or a shorter automatic.ttl"#,
    },
    Wrong {
        law: "a loss is written without a unit",
        write: (r#"ttl = "3s""#, r#"max_data_loss = "16""#),
        code: "BSC-M034",
        underlined: r#""16""#,
        message: "`automatic.max_data_loss` is not a size",
        help: "write \"0\", \"unlimited\", or a whole number and kB, MB or GB, for example: max_data_loss = \"16MB\"",
    },
    Wrong {
        law: "a tenure is too short",
        write: (r#"ttl = "3s""#, r#"ttl = "500ms""#),
        code: "BSC-M015",
        underlined: r#""500ms""#,
        message: "`automatic.ttl` is too short",
        help: r#"write 1s to 1m, for example: ttl = "3s""#,
    },
    Wrong {
        law: "a site would move back and forth",
        write: (r#"ttl = "3s""#, r#"cool_down = "1s""#),
        code: "BSC-M015",
        underlined: r#""1s""#,
        message: "`automatic.cool_down` is too short",
        help: r#"write 10s to 1d, for example: cool_down = "1m""#,
    },
    Wrong {
        law: "a mode is not known",
        write: (r#"mode = "automatic""#, r#"mode = "auto""#),
        code: "BSC-M011",
        underlined: r#""auto""#,
        message: r#"`automatic.mode` cannot be "auto""#,
        help: r#"write mode = "manual" or "observe" or "automatic""#,
    },
    Wrong {
        law: "two keepers have one name",
        write: (r#"name = "us-west-1-keeper1""#, r#"name = "us-east-2-keeper1""#),
        code: "BSC-M018",
        underlined: r#""us-east-2-keeper1""#,
        message: r#"two keepers have the name "us-east-2-keeper1""#,
        help: "give each keeper, in both regions, a name of its own",
    },
    Wrong {
        law: "a keeper and the witness have one address",
        write: (r#"address = "10.77.3.41:7300""#, r#"address = "10.77.2.41:7300""#),
        code: "BSC-M019",
        underlined: r#""10.77.2.41:7300""#,
        message: "10.77.2.41:7300 is both the keeper us-west-1-keeper1 and the witness",
        help: "write the address and port that this part really has",
    },
];
