//! Configuration: environment variables, parsed once, at the start.
//!
//! Invariant: the database is known by a DNS name. An address in the configuration would pin the
//! application to one region, and the whole point is that the name moves; so an address, or `localhost`, is
//! refused unless `ALLOW_DATABASE_ADDRESS=1` says that this is a test.
//!
//! Left out: files and flags. A password is the one thing that is read from a file.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Connections in the pool when `DATABASE_POOL` is not set. Three instances a region at 8 make 24, which is
/// what two database cores can use with room to spare; PgBouncer queues the rest.
pub const DEFAULT_POOL: usize = 8;

/// Largest accepted `DATABASE_POOL`: PostgreSQL's own default for `max_connections`.
pub const MAX_POOL: usize = 100;

/// What is wrong with the environment. Every message names the variable and says what to write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A required variable is absent or empty.
    #[error("{variable} is not set: {expected}")]
    Missing {
        /// The variable.
        variable: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A variable holds something else than what belongs there.
    #[error("{variable} is {value:?}: {expected}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The database is given by address.
    #[error(
        "DATABASE_HOST is {0:?}, which is not a DNS name: the database moves between regions and is found by \
         its name only, such as db.events.test (for a test on one machine set ALLOW_DATABASE_ADDRESS=1)"
    )]
    Address(String),
    /// The password file cannot be read.
    #[error("DATABASE_PASSWORD_FILE {path}: cannot be read", path = path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The password file is empty.
    #[error("DATABASE_PASSWORD_FILE {path}: is empty", path = .0.display())]
    PasswordEmpty(PathBuf),
}

/// A secret that does not print itself.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The secret, for the one place that sends it to the database.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, address and port.
    pub listen: SocketAddr,
    /// The database's DNS name.
    pub database_host: String,
    /// The database's port.
    pub database_port: u16,
    /// The database's name inside PostgreSQL.
    pub database_name: String,
    /// The user to log in as.
    pub database_user: String,
    /// That user's password.
    pub database_password: Password,
    /// The most connections to hold, 1 to [`MAX_POOL`].
    pub database_pool: usize,
    /// This instance's name, such as `app1`.
    pub instance: String,
    /// The region it runs in, such as `us-east-2`.
    pub region: String,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_env() -> Result<Self, Error> {
        Self::parse(|variable| std::env::var(variable).ok())
    }

    /// Reads variables through `lookup`, and the password file from disk.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, Error> {
        let lookup = |variable| lookup(variable).filter(|value| !value.is_empty());
        let required = |variable, expected| lookup(variable).ok_or(Error::Missing { variable, expected });

        let listen = required("LISTEN", LISTEN_EXPECTED)?;
        let database_host = required("DATABASE_HOST", "the database's DNS name, such as db.events.test")?;
        let allowed = lookup("ALLOW_DATABASE_ADDRESS").is_some_and(|value| value == "1");
        if !allowed && !is_dns_name(&database_host) {
            return Err(Error::Address(database_host));
        }
        let port = lookup("DATABASE_PORT").unwrap_or_else(|| "5432".into());
        let pool = lookup("DATABASE_POOL").unwrap_or_else(|| DEFAULT_POOL.to_string());
        let password_file = required("DATABASE_PASSWORD_FILE", "the file that holds the password")?;
        Ok(Self {
            listen: number("LISTEN", listen, LISTEN_EXPECTED)?,
            database_host,
            database_port: number("DATABASE_PORT", port, "a port, 1 to 65535")?,
            database_name: required("DATABASE_NAME", "the database's name, such as events")?,
            database_user: required("DATABASE_USER", "the user to log in as")?,
            database_password: read_password(PathBuf::from(password_file))?,
            database_pool: pool_size(pool)?,
            instance: label("INSTANCE", required("INSTANCE", "this instance's name, such as app1")?)?,
            region: label("REGION", required("REGION", "the region it runs in, such as us-east-2")?)?,
        })
    }

    /// The value of the `x-served-by` header: `instance.region`.
    pub fn served_by(&self) -> String {
        format!("{}.{}", self.instance, self.region)
    }
}

const LISTEN_EXPECTED: &str = "an address and port to listen on, such as 0.0.0.0:8080";

fn number<T: FromStr>(variable: &'static str, value: String, expected: &'static str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Invalid { variable, value, expected })
}

fn pool_size(value: String) -> Result<usize, Error> {
    let expected = "a number of connections, 1 to 100";
    let size: usize = number("DATABASE_POOL", value.clone(), expected)?;
    if (1..=MAX_POOL).contains(&size) {
        Ok(size)
    } else {
        Err(Error::Invalid { variable: "DATABASE_POOL", value, expected })
    }
}

/// A name that is safe in a header and in a log line.
fn label(variable: &'static str, value: String) -> Result<String, Error> {
    let fits =
        value.len() <= 63 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        Ok(value)
    } else {
        Err(Error::Invalid { variable, value, expected: "up to 63 letters, digits, '-' and '_'" })
    }
}

fn read_password(path: PathBuf) -> Result<Password, Error> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(Error::PasswordFile { path, source }),
    };
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err(Error::PasswordEmpty(path)) } else { Ok(Password(password.to_owned())) }
}

/// Whether `host` is a name that DNS answers. Refused besides literals: socket paths, `localhost` and its
/// subdomains (RFC 6761), and names whose last label is a number, which `getaddrinfo` reads as an IPv4
/// address (`127.1`, `2130706433`, `0x7f000001`).
fn is_dns_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    let label_ok = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253
        && labels.iter().all(label_ok)
        && last != "localhost"
        && !last.starts_with("0x")
        && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(changes: &[(&'static str, &str)]) -> Result<Config, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let mut variables = std::collections::HashMap::from([
            ("LISTEN", "127.0.0.1:8080".to_owned()),
            ("DATABASE_HOST", "db.events.test".to_owned()),
            ("DATABASE_NAME", "events".to_owned()),
            ("DATABASE_USER", "events".to_owned()),
            ("DATABASE_PASSWORD_FILE", file.path().display().to_string()),
            ("INSTANCE", "app1".to_owned()),
            ("REGION", "us-east-2".to_owned()),
        ]);
        variables.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Config::parse(|variable| variables.get(variable).cloned())
    }

    #[test]
    fn defaults_are_port_5432_and_eight_connections() {
        let config = parse_with(&[]).unwrap();
        assert_eq!((config.database_port, config.database_pool), (5432, 8));
        assert_eq!(config.served_by(), "app1.us-east-2");
        assert_eq!(config.database_password.expose(), "secret");
    }

    #[test]
    fn a_database_address_is_refused_in_every_spelling() {
        for host in [
            "10.77.1.21",
            "127.1",
            "2130706433",
            "0x7f000001",
            "::1",
            "[::1]",
            "localhost",
            "LOCALHOST.",
            "db.localhost",
            "/run/postgresql",
            "db..test",
        ] {
            let error = parse_with(&[("DATABASE_HOST", host)]).expect_err(host);
            assert!(matches!(error, Error::Address(_)), "{host}: {error}");
            assert!(error.to_string().contains("ALLOW_DATABASE_ADDRESS=1"), "{error}");
        }
    }

    #[test]
    fn a_test_may_allow_an_address() {
        let config = parse_with(&[("DATABASE_HOST", "127.0.0.1"), ("ALLOW_DATABASE_ADDRESS", "1")]).unwrap();
        assert_eq!(config.database_host, "127.0.0.1");
    }

    #[test]
    fn every_wrong_value_is_named_with_what_belongs_there() {
        for (variable, value, part) in [
            ("LISTEN", "8080", "such as 0.0.0.0:8080"),
            ("DATABASE_PORT", "70000", "1 to 65535"),
            ("DATABASE_POOL", "0", "1 to 100"),
            ("DATABASE_POOL", "many", "1 to 100"),
            ("INSTANCE", "app 1", "letters"),
            ("REGION", "a\r\nb", "letters"),
            ("DATABASE_NAME", "", "such as events"),
            ("DATABASE_PASSWORD_FILE", "/nonexistent", "cannot be read"),
        ] {
            let message = parse_with(&[(variable, value)]).expect_err(variable).to_string();
            assert!(message.starts_with(variable) && message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_password_is_not_in_the_debug_text() {
        assert!(!format!("{:?}", parse_with(&[]).unwrap()).contains("secret"));
    }
}
