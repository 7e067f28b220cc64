//! Wrong in its text, its keys or its types.

use crate::Wrong;

/// BSC-M001 to BSC-M007.
pub const WRONG: &[Wrong] = &[
    Wrong {
        law: "the quotes are forgotten",
        write: (r#"home = "us-east-2" "#, "home = us-east-2 "),
        code: "BSC-M001",
        underlined: "us-east-2",
        message: "the manifest is not TOML: string values must be quoted, expected literal string",
        help: r#"texts stand in quotes; write home = "us-east-2""#,
    },
    Wrong {
        law: "a heading is not closed",
        write: ("[objective]", "[objective"),
        code: "BSC-M001",
        underlined: "[objective",
        message: "the manifest is not TOML: unclosed table, expected `]`",
        help: r#"write key = "text", [section] or [[list]], or begin a comment with #"#,
    },
    Wrong {
        law: "a key is written twice",
        write: (
            r#"rto = "60s""#,
            r#"rto = "60s"
rto = "90s""#,
        ),
        code: "BSC-M001",
        underlined: "rto",
        message: "the manifest is not TOML: duplicate key",
        help: "keep one of the two",
    },
    Wrong {
        law: "the version is of the future",
        write: ("version = 1", "version = 2"),
        code: "BSC-M002",
        underlined: "2",
        message: "the manifest is of version 2, and this bascule reads version 1",
        help: "write version = 1, or use the bascule that this manifest was written for",
    },
    Wrong {
        law: "the version is a text",
        write: ("version = 1", r#"version = "1""#),
        code: "BSC-M002",
        underlined: r#""1""#,
        message: "the manifest's version is not a whole number, and this bascule reads version 1",
        help: "write version = 1, or use the bascule that this manifest was written for",
    },
    Wrong {
        law: "the version is missing",
        write: ("version = 1", ""),
        code: "BSC-M005",
        underlined: "",
        message: "the manifest has no `version`",
        help: "add: version = 1",
    },
    Wrong {
        law: "a key is misspelt",
        write: (r#"max_pause = "5s" "#, r#"max_puase = "5s" "#),
        code: "BSC-M004",
        underlined: "max_puase",
        message: "[objective] has no key `max_puase`",
        help: "write `max_pause`; the keys of [objective] are rpo, backup_rpo, rto, max_pause",
    },
    Wrong {
        law: "a section is misspelt",
        write: ("[objective]", "[objectives]"),
        code: "BSC-M004",
        underlined: "objectives",
        message: "the manifest has no key `objectives`",
        help: "write `objective`; the keys of the manifest are version, site, objective, store, front_door, database, pool, names, regions, automatic, witness, monitoring, repository, lab",
    },
    Wrong {
        law: "a key belongs nowhere",
        write: (
            r#"user = "console""#,
            r#"user = "console"
port = 6432"#,
        ),
        code: "BSC-M004",
        underlined: "port",
        message: "[pool] has no key `port`",
        help: "delete it; the keys of [pool] are database, user, password_file",
    },
    Wrong {
        law: "a member has a key too many",
        write: (
            r#"name = "us-west-1-db1""#,
            r#"name = "us-west-1-db1"
role = "primary""#,
        ),
        code: "BSC-M004",
        underlined: "role",
        message: "[[regions.us-west-1.database.members]] has no key `role`",
        help: "delete it; the keys of [[regions.us-west-1.database.members]] are name, postgres, patroni",
    },
    Wrong {
        law: "a region has a part too many",
        write: (
            "[regions.us-west-1.pool]",
            r#"[regions.us-west-1.cache]
size = 1
[regions.us-west-1.pool]"#,
        ),
        code: "BSC-M004",
        underlined: "cache",
        message: "[regions.us-west-1] has no key `cache`",
        help: "delete it; the keys of [regions.us-west-1] are database, load_balancer, pool, compute, keepers, object_storage, key_pairs, network, secrets",
    },
    Wrong {
        law: "a section is missing",
        write: (
            r#"[front_door]                    # a write through it proves a move
url = "http://app.events.test"
user = "bascule-verify""#,
            "",
        ),
        code: "BSC-M005",
        underlined: "",
        message: "the manifest has no [front_door]",
        help: "add a section [front_door] with url, user",
    },
    Wrong {
        law: "a key is missing",
        write: (r#"rpo = "5s"                      # what may be lost"#, ""),
        code: "BSC-M005",
        underlined: "[objective]",
        message: "[objective] has no `rpo`",
        help: r#"add: rpo = "5s""#,
    },
    Wrong {
        law: "a region lacks a part",
        write: (
            r#"[regions.us-west-1.compute]
instances = ["10.77.2.31:8080"]"#,
            "",
        ),
        code: "BSC-M005",
        underlined: "us-west-1",
        message: "the manifest has no [regions.us-west-1.compute]",
        help: "add a section [regions.us-west-1.compute] with instances, zones",
    },
    Wrong {
        law: "a region has no members",
        write: (
            r#"[[regions.us-west-1.database.members]]
name = "us-west-1-db1"
postgres = "10.77.2.11:5432"
patroni = "10.77.2.11:8008""#,
            "",
        ),
        code: "BSC-M005",
        underlined: "[regions.us-west-1.database]",
        message: "the manifest has no [[regions.us-west-1.database.members]]",
        help: "add at least one [[regions.us-west-1.database.members]] with name, postgres, patroni",
    },
    Wrong {
        law: "a name is a number",
        write: (r#"user = "console""#, "user = 7"),
        code: "BSC-M006",
        underlined: "7",
        message: "`pool.user` must be a text in quotes, and is a number",
        help: r#"write, for example: user = "bascule""#,
    },
    Wrong {
        law: "a section is a text",
        write: (
            r#"[regions.us-west-1.compute]
instances = ["10.77.2.31:8080"]"#,
            r#"[regions.us-west-1]
compute = "10.77.2.31:8080""#,
        ),
        code: "BSC-M006",
        underlined: r#""10.77.2.31:8080""#,
        message: "`regions.us-west-1.compute` must be a section, and is a text",
        help: "write [regions.us-west-1.compute], and below it: instances, zones",
    },
    Wrong {
        law: "a list is a section",
        write: (
            r#"servers = ["10.77.1.53:53", "10.77.2.53:53", "10.77.3.53:53"]"#,
            r#"servers = { first = "10.77.1.53:53" }"#,
        ),
        code: "BSC-M006",
        underlined: r#"{ first = "10.77.1.53:53" }"#,
        message: "`names.servers` must be a list in [ ], and is a section",
        help: r#"write, for example: servers = ["10.77.1.53:53"]"#,
    },
    Wrong {
        law: "a password stands in place of its file",
        write: (r#"password_file = "secrets/pool""#, r#"password = "hunter2""#),
        code: "BSC-M007",
        underlined: "password",
        message: "[pool] holds a secret, `password`",
        help: r#"put the secret into a file, and name the file: password_file = "secrets/pool""#,
    },
    Wrong {
        law: "records have single brackets",
        write: (
            r#"[[names.records]]
name = "db.events.test""#,
            r#"[names.records]
name = "db.events.test""#,
        ),
        code: "BSC-M001",
        underlined: "records",
        message: "the manifest is not TOML: duplicate key",
        help: "keep one of the two; each section of a list begins with [[two brackets]]",
    },
    Wrong {
        law: "a list is a text",
        write: (r#"instances = ["10.77.2.31:8080"]"#, r#"instances = "10.77.2.31:8080""#),
        code: "BSC-M006",
        underlined: r#""10.77.2.31:8080""#,
        message: "`regions.us-west-1.compute.instances` must be a list in [ ], and is a text",
        help: r#"write, for example: instances = ["10.77.1.31:8080"]"#,
    },
    Wrong {
        law: "a duration is a truth",
        write: (r#"rto = "60s""#, "rto = true"),
        code: "BSC-M006",
        underlined: "true",
        message: "`objective.rto` must be a duration in quotes, and is true or false",
        help: r#"write, for example: rto = "60s""#,
    },
    Wrong {
        law: "a password stands in the manifest",
        write: (
            r#"password_file = "secrets/pool""#,
            r#"password_file = "secrets/pool"
password = "hunter2""#,
        ),
        code: "BSC-M007",
        underlined: "password",
        message: "[pool] holds a secret, `password`",
        help: r#"put the secret into a file, and name the file: password_file = "secrets/pool""#,
    },
    Wrong {
        law: "a key for updates stands in the manifest",
        write: (
            r#"tsig_secret_file = "secrets/tsig""#,
            r#"tsig_secret_file = "secrets/tsig"
tsig_secret = "aHVudGVyMg==""#,
        ),
        code: "BSC-M007",
        underlined: "tsig_secret",
        message: "[names] holds a secret, `tsig_secret`",
        help: r#"put the secret into a file, and name the file: tsig_secret_file = "secrets/tsig""#,
    },
    Wrong {
        law: "a token stands where none is needed",
        write: (
            r#"user = "bascule-verify""#,
            r#"user = "bascule-verify"
token = "hunter2""#,
        ),
        code: "BSC-M007",
        underlined: "token",
        message: "[front_door] holds a secret, `token`",
        help: "delete it: [front_door] needs no secret",
    },
];
