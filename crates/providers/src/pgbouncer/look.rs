//! What only checks ask of a pool: how full it is, and whether it takes changes. Nothing here changes anything.

use super::PgbouncerPool;
use super::map::Row;
use crate::Trial;
use crate::sql::SqlError;

/// A database that is not there: whoever may only look is told so before it is looked up (PgBouncer, `admin.c`).
const NOWHERE: &str = "RESUME bascule_permission_none";

impl PgbouncerPool {
    /// How many clients it has, and may have.
    ///
    /// # Errors
    /// Why it did not say.
    pub async fn clients(&self) -> Result<(u64, u64), String> {
        let told = |error: SqlError| error.to_string();
        let (lists, config) =
            (self.show("LISTS").await.map_err(told)?, self.show("CONFIG").await.map_err(told)?);
        let used = cell(&lists, ("list", "used_clients"), "items")?;
        Ok((used, cell(&config, ("key", "max_client_conn"), "value")?))
    }

    /// Whether it takes changes from us.
    ///
    /// # Errors
    /// Why that could not be tried.
    pub async fn may_change(&self) -> Result<Trial, String> {
        match self.command(NOWHERE).await {
            Err(SqlError::Refused { message, .. }) => allowed(&message),
            Err(SqlError::Connect { why, .. }) if why.contains("authentication failed") => {
                Ok(Trial::Refused { why })
            }
            Err(error @ (SqlError::Connect { .. } | SqlError::Lost { .. })) => Err(error.to_string()),
            Ok(()) => Err("PgBouncer let a database go on that is not there".to_owned()),
        }
    }
}

fn allowed(message: &str) -> Result<Trial, String> {
    if message.contains("admin access needed") || message.contains("not allowed") {
        return Ok(Trial::Refused { why: format!("PgBouncer says: {message}") });
    }
    if message.contains("no such database") || message.contains("not paused") {
        return Ok(Trial::Granted);
    }
    Err(format!("PgBouncer answers {message:?} to a change that changes nothing"))
}

fn cell(rows: &[Row], (column, wanted): (&str, &str), value: &str) -> Result<u64, String> {
    let row = rows.iter().find(|row| row.get(column).is_some_and(|found| found.trim() == wanted));
    let number = row.and_then(|row| row.get(value)).and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| format!("the pool does not say {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_look_is_refused_and_any_other_word_is_no_answer() {
        assert_eq!(allowed("no such database: bascule_permission_none"), Ok(Trial::Granted));
        assert!(matches!(allowed("admin access needed"), Ok(Trial::Refused { .. })));
        assert!(allowed("syntax error").is_err());
    }

    #[test]
    fn counts_are_found_by_their_names() {
        let row = |cells: [(&str, &str); 2]| -> Row {
            cells.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let lists =
            [row([("list", "users"), ("items", "3")]), row([("list", "used_clients"), ("items", "24")])];
        assert_eq!(cell(&lists, ("list", "used_clients"), "items"), Ok(24));
        assert!(cell(&lists, ("list", "gone"), "items").is_err());
    }
}
