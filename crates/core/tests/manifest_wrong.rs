//! Manifests that are wrong in one way each: the golden one with one piece of it replaced.

/// A wrong manifest, and what is said of it.
pub struct Wrong {
    /// What is wrong, in a few words.
    pub law: &'static str,
    /// What of the golden manifest is replaced, and by what.
    pub write: (&'static str, &'static str),
    /// The code.
    pub code: &'static str,
    /// The text that is underlined.
    pub underlined: &'static str,
    /// What is wrong.
    pub message: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

/// Each of them.
pub const WRONG: &[Wrong] = &[
    Wrong { law: "the quotes are forgotten", write: (r#"home = "us-east-2" "#, "home = us-east-2 "), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a line is no assignment", write: ("[objective]", "[objective"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a key is written twice", write: (r#"rto = "60s""#, r#"rto = "60s"
rto = "90s""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the version is of the future", write: ("version = 1", "version = 2"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the version is a text", write: ("version = 1", r#"version = "1""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the version is missing", write: ("version = 1", ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a key is misspelt", write: (r#"max_pause = "5s" "#, r#"max_puase = "5s" "#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a section is misspelt", write: ("[objective]", "[objectives]"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a key belongs nowhere", write: (r#"user = "console""#, r#"user = "console"
port = 6432"#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a member has a key too many", write: (r#"name = "us-west-1-db1""#, r#"name = "us-west-1-db1"
role = "primary""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a region has a part too many", write: ("[regions.us-west-1.pool]", r#"[regions.us-west-1.cache]
size = 1
[regions.us-west-1.pool]"#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a section is missing", write: (r#"[front_door]                    # a write through it proves a move
url = "http://app.events.test"
user = "bascule-verify""#, ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a key is missing", write: (r#"rpo = "5s"                      # what may be lost"#, ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a region lacks a part", write: (r#"[regions.us-west-1.compute]
instances = ["10.77.2.31:8080"]"#, ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a region has no members", write: (r#"[[regions.us-west-1.database.members]]
name = "us-west-1-db1"
postgres = "10.77.2.11:5432"
patroni = "10.77.2.11:8008""#, ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a name is a number", write: (r#"user = "console""#, "user = 7"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a section is a text", write: (r#"[lab]                           # only a lab has it
name = "lab""#, "[names.extra]"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "records have single brackets", write: (r#"[[names.records]]
name = "db.events.test""#, r#"[names.records]
name = "db.events.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a list is a text", write: (r#"instances = ["10.77.2.31:8080"]"#, r#"instances = "10.77.2.31:8080""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a duration is a truth", write: (r#"rto = "60s""#, "rto = true"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a password stands in the manifest", write: (r#"password_file = "secrets/pool""#, r#"password_file = "secrets/pool"
password = "hunter2""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a key for updates stands in the manifest", write: (r#"tsig_secret_file = "secrets/tsig""#, r#"tsig_secret_file = "secrets/tsig"
tsig_secret = "aHVudGVyMg==""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a token stands where none is needed", write: (r#"user = "bascule-verify""#, r#"user = "bascule-verify"
token = "hunter2""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a site has capitals", write: (r#"name = "events"
home"#, r#"name = "Events"
home"#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a zone ends in a dot", write: (r#"zone = "events.test""#, r#"zone = "events.test.""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a member has an underscore", write: (r#"name = "us-east-2-db2""#, r#"name = "us_east_2_db2""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a duration has no unit", write: (r#"rpo = "5s""#, "rpo = 5"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a duration has no unit within its quotes", write: (r#"rto = "60s""#, r#"rto = "60""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a duration is a fraction", write: (r#"rto = "60s""#, "rto = 1.5"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a duration has an unknown unit", write: (r#"rpo = "5s""#, r#"rpo = "5 sec""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an address lacks its port", write: (r#"update_server = "10.77.3.53:53""#, r#"update_server = "10.77.3.53""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an IPv6 address lacks its brackets", write: (r#"update_server = "10.77.3.53:53""#, r#"update_server = "fd00::53""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a host name stands for an address", write: (r#"postgres = "10.77.1.11:5432""#, r#"postgres = "db1.us-east-2:5432""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a port is zero", write: (r#"servers = ["10.77.1.53:53""#, r#"servers = ["10.77.1.53:0""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a port stands where none belongs", write: (r#"address = "10.77.2.20""#, r#"address = "10.77.2.20:80""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an address is a wish", write: (r#"address = "10.77.2.21""#, r#"address = "west""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an address is every address", write: (r#"admin = "10.77.1.21:5432""#, r#"admin = "0.0.0.0:5432""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a store is not known yet", write: (r#"kind = "sqlite""#, r#"kind = "etcd""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a target is misspelt", write: (r#"target = "load_balancer""#, r#"target = "loadbalancer""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an algorithm is broken", write: (r#"tsig_algorithm = "hmac-sha256""#, r#"tsig_algorithm = "hmac-md5""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a path is empty", write: (r#"path = "bascule.db""#, r#"path = """#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a map's path has a blank", write: (r#"gate_map = "/etc/haproxy/west.map""#, r#"gate_map = "/etc/ha proxy/west.map""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a backend ends a command", write: (r#"database_backend = "db_west""#, r#"database_backend = "db_west;""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a user is longer than PostgreSQL takes", write: (r#"user = "bascule"
password_file"#, r#"user = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
password_file"#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door has no scheme", write: (r#"url = "http://app.events.test""#, r#"url = "app.events.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door is no web site", write: (r#"url = "http://app.events.test""#, r#"url = "ftp://app.events.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door has a path", write: (r#"url = "http://app.events.test""#, r#"url = "http://app.events.test/events""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door has a login", write: (r#"url = "http://app.events.test""#, r#"url = "http://me:hunter2@app.events.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door is an address", write: (r#"url = "http://app.events.test""#, r#"url = "http://10.77.1.20""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a front door's port is none", write: (r#"url = "http://app.events.test""#, r#"url = "http://app.events.test:x""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "there are no instances", write: (r#"instances = ["10.77.2.31:8080"]"#, "instances = []"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "nobody serves the names", write: (r#"servers = ["10.77.1.53:53", "10.77.2.53:53", "10.77.3.53:53"]"#, "servers = []"), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a time to live is zero", write: (r#"ttl = "1m"
move_ttl = "2s""#, r#"ttl = "0s""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a time to live is a week", write: (r#"ttl = "1m""#, r#"ttl = "7d""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a time to live has half seconds", write: (r#"move_ttl = "2s""#, r#"move_ttl = "1500ms""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a pause is too short", write: (r#"max_pause = "5s" "#, r#"max_pause = "50ms" "#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a pause is too long", write: (r#"max_pause = "5s" "#, r#"max_pause = "2m" "#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an objective is a year", write: (r#"rpo = "5s""#, r#"rpo = "365d""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "home is elsewhere", write: (r#"home = "us-east-2""#, r#"home = "us-east-1""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a member is named twice", write: (r#"name = "us-west-1-db1""#, r#"name = "us-east-2-db1""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "an address is used twice", write: (r#"patroni = "10.77.1.12:8008""#, r#"patroni = "10.77.1.11:8008""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a pool's console is a member", write: (r#"admin = "10.77.2.21:5432""#, r#"admin = "10.77.2.11:5432""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a name server is listed twice", write: (r#""10.77.2.53:53", "10.77.3.53:53"]"#, r#""10.77.1.53:53", "10.77.3.53:53"]"#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "both regions have one load balancer", write: (r#"address = "10.77.2.20""#, r#"address = "10.77.1.20""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the regions are of two families", write: (r#"address = "10.77.2.21""#, r#"address = "fd00:2::21""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the recovery is shorter than the pause", write: (r#"rto = "60s""#, r#"rto = "3s""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "answers live longer before a move", write: (r#"move_ttl = "2s""#, r#"move_ttl = "2m""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a record is outside the zone", write: (r#"name = "db.events.test""#, r#"name = "db.myevents.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "a record stands twice", write: (r#"name = "db.events.test""#, r#"name = "app.events.test""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "nothing points at the pool", write: (r#"[[names.records]]
name = "db.events.test"
target = "pool"
ttl = "1s""#, ""), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the front door is no record", write: (r#"url = "http://app.events.test""#, r#"url = "https://www.events.test:8443""#), code: "", underlined: "", message: "", help: "" },
    Wrong { law: "the front door is the pool", write: (r#"url = "http://app.events.test""#, r#"url = "http://db.events.test""#), code: "", underlined: "", message: "", help: "" },
];
