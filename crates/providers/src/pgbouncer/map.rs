//! The console's tables, read: pure.

use std::collections::BTreeMap;

use bascule_core::observation::PoolObservation;

/// A row by its columns' names.
pub(super) type Row = BTreeMap<String, String>;

/// Whether `SHOW DATABASES` says that a database is paused.
pub(super) fn paused(databases: &[Row], database: &str) -> Result<bool, String> {
    let row = databases.iter().find(|row| row.get("name").is_some_and(|name| name == database));
    let row = row.ok_or_else(|| format!("the pool has no database {database}"))?;
    match row.get("paused").map(String::as_str) {
        Some("0") => Ok(false),
        Some("1") => Ok(true),
        other => Err(format!("SHOW DATABASES says paused {other:?}")),
    }
}

/// The pool as it is seen.
pub(super) fn observation(
    databases: &[Row],
    pools: &[Row],
    database: &str,
) -> Result<PoolObservation, String> {
    let number = |row: &Row, column: &str| -> Result<u32, String> {
        let cell = row.get(column).ok_or_else(|| format!("SHOW POOLS has no column {column}"))?;
        cell.parse().map_err(|_| format!("SHOW POOLS says {column} {cell:?}"))
    };
    let (mut clients, mut waiting) = (0, 0);
    for row in pools.iter().filter(|row| row.get("database").is_some_and(|d| d == database)) {
        let waits = number(row, "cl_waiting")?;
        clients += number(row, "cl_active")? + waits;
        waiting += waits;
    }
    Ok(PoolObservation { held: paused(databases, database)?, clients, waiting })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn clients_of_all_users_are_counted() {
        let databases = [row(&[("name", "events"), ("paused", "1")])];
        let pools = [
            row(&[("database", "events"), ("cl_active", "3"), ("cl_waiting", "2")]),
            row(&[("database", "events"), ("cl_active", "1"), ("cl_waiting", "0")]),
            row(&[("database", "pgbouncer"), ("cl_active", "1"), ("cl_waiting", "0")]),
        ];
        let seen = observation(&databases, &pools, "events").unwrap();
        assert_eq!(seen, PoolObservation { held: true, clients: 6, waiting: 2 });
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(paused(&[], "events").is_err());
        assert!(paused(&[row(&[("name", "events")])], "events").is_err());
    }
}
