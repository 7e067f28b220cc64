//! Wrong between its parts.

use crate::Wrong;

/// From BSC-M017 on.
pub const WRONG: &[Wrong] = &[
    Wrong {
        law: "home is elsewhere",
        write: (r#"home = "us-east-2""#, r#"home = "us-east-1""#),
        code: "BSC-M017",
        underlined: r#""us-east-1""#,
        message: r#"`site.home` is "us-east-1", which is not a region of this manifest"#,
        help: r#"write home = "us-east-2" or "us-west-1""#,
    },
    Wrong {
        law: "a member is named twice",
        write: (r#"name = "us-west-1-db1""#, r#"name = "us-east-2-db1""#),
        code: "BSC-M018",
        underlined: r#""us-east-2-db1""#,
        message: r#"two members have the name "us-east-2-db1""#,
        help: "give each member, in both regions, a name of its own",
    },
    Wrong {
        law: "an address is used twice",
        write: (r#"patroni = "10.77.1.12:8008""#, r#"patroni = "10.77.1.11:8008""#),
        code: "BSC-M019",
        underlined: r#""10.77.1.11:8008""#,
        message: "10.77.1.11:8008 is both the Patroni of us-east-2-db1 and the Patroni of us-east-2-db2",
        help: "write the address and port that this part really has",
    },
    Wrong {
        law: "a pool's console is a member",
        write: (r#"admin = "10.77.2.21:5432""#, r#"admin = "10.77.2.11:5432""#),
        code: "BSC-M019",
        underlined: r#""10.77.2.11:5432""#,
        message: "10.77.2.11:5432 is both the PostgreSQL of us-west-1-db1 and the console of the pool of us-west-1",
        help: "write the address and port that this part really has",
    },
    Wrong {
        law: "a name server is listed twice",
        write: (r#""10.77.2.53:53", "10.77.3.53:53"]"#, r#""10.77.1.53:53", "10.77.3.53:53"]"#),
        code: "BSC-M019",
        underlined: r#""10.77.1.53:53""#,
        message: "10.77.1.53:53 stands twice as a name server",
        help: "write the address and port that this part really has",
    },
    Wrong {
        law: "both regions have one load balancer",
        write: (r#"address = "10.77.2.20""#, r#"address = "10.77.1.20""#),
        code: "BSC-M019",
        underlined: r#""10.77.1.20""#,
        message: "both regions have a load balancer at 10.77.1.20",
        help: "write the address that the other region has",
    },
    Wrong {
        law: "the regions are of two families",
        write: (r#"address = "10.77.2.21""#, r#"address = "fd00:2::21""#),
        code: "BSC-M020",
        underlined: r#""fd00:2::21""#,
        message: "the pools of the two regions are at 10.77.1.21 and fd00:2::21",
        help: "write two IPv4 or two IPv6 addresses: a move replaces one record by another of its type",
    },
    Wrong {
        law: "the recovery is shorter than the pause",
        write: (r#"rto = "60s""#, r#"rto = "3s""#),
        code: "BSC-M021",
        underlined: r#""3s""#,
        message: "`objective.rto` is 3s, but `objective.max_pause` lets a switchover hold writes for 5s",
        help: r#"write rto = "5s" or more, or max_pause = "3s" or less"#,
    },
    Wrong {
        law: "answers live longer before a move",
        write: (r#"move_ttl = "2s""#, r#"move_ttl = "2m""#),
        code: "BSC-M022",
        underlined: r#""2m""#,
        message: "`move_ttl` of app.events.test is longer than its `ttl`, 1m",
        help: r#"write move_ttl = "1m" or less"#,
    },
    Wrong {
        law: "a record is outside the zone",
        write: (r#"name = "db.events.test""#, r#"name = "db.myevents.test""#),
        code: "BSC-M023",
        underlined: r#""db.myevents.test""#,
        message: r#""db.myevents.test" is not in the zone "events.test""#,
        help: r#"write a name in events.test, for example: name = "app.events.test""#,
    },
    Wrong {
        law: "a record stands twice",
        write: (r#"name = "db.events.test""#, r#"name = "app.events.test""#),
        code: "BSC-M024",
        underlined: r#""app.events.test""#,
        message: r#"two records have the name "app.events.test""#,
        help: "keep one of them: a name points at one target",
    },
    Wrong {
        law: "nothing points at the pool",
        write: (
            r#"[[names.records]]
name = "db.events.test"
target = "pool"
ttl = "1s""#,
            "",
        ),
        code: "BSC-M025",
        underlined: "[names]",
        message: r#"no record has the target "pool""#,
        help: r#"add a [[names.records]] with target = "pool""#,
    },
    Wrong {
        law: "the front door is no record",
        write: (r#"url = "http://app.events.test""#, r#"url = "https://www.events.test:8443""#),
        code: "BSC-M026",
        underlined: r#""https://www.events.test:8443""#,
        message: r#"the front door's host, "www.events.test", is none of names.records"#,
        help: r#"write url = "https://app.events.test:8443", or add a record for www.events.test with target = "load_balancer""#,
    },
    Wrong {
        law: "the front door is the pool",
        write: (r#"url = "http://app.events.test""#, r#"url = "http://db.events.test""#),
        code: "BSC-M026",
        underlined: r#""http://db.events.test""#,
        message: r#"the front door's host, "db.events.test", points at the pool, not at the load balancer"#,
        help: r#"write url = "http://app.events.test", or add a record for db.events.test with target = "load_balancer""#,
    },
];
