//! HAProxy's answers, read: pure. Formats: HAProxy 2.6 management guide, section 9.3 (`show map`,
//! `show stat`).

use bascule_core::id::Epoch;
use bascule_core::observation::GateState;

/// A server of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub backend: String,
    pub name: String,
    pub up: bool,
    pub sessions: u32,
}

/// The value of a key in `show map`, whose lines are `0x55d… key value`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next() == Some(key)).then(|| words.next())?
    })
}

/// The gate's state and epoch.
pub(super) fn gate(show_map: &str) -> Result<(GateState, Epoch), String> {
    let state = match value(show_map, "db") {
        Some("closed") => GateState::Closed,
        Some("local") => GateState::Local,
        Some("remote") => GateState::Remote,
        Some(other) => return Err(format!("the gate's map says db {other:?}")),
        None => return Err(format!("the gate's map has no key db: {:?}", show_map.trim())),
    };
    let epoch = value(show_map, "epoch").and_then(|e| e.parse().ok());
    Ok((state, Epoch(epoch.ok_or("the gate's map has no epoch")?)))
}

/// The servers in `show stat`: CSV with a header line that begins with `# `.
pub(super) fn servers(show_stat: &str) -> Result<Vec<Server>, String> {
    let mut lines = show_stat.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("show stat has no header")?;
    let column = |name: &str| {
        header.split(',').position(|c| c == name).ok_or_else(|| format!("show stat has no column {name}"))
    };
    let (backend, name, status, sessions) =
        (column("pxname")?, column("svname")?, column("status")?, column("scur")?);
    Ok(lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
            Server {
                backend: cell(backend).to_owned(),
                name: cell(name).to_owned(),
                // `UP`, or `UP 1/2` on its way down; `no check` has no health to speak of.
                up: cell(status).starts_with("UP"),
                sessions: cell(sessions).parse().unwrap_or(0),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_reads_as_state_and_epoch() {
        let text = "0x5581a0 db local\n0x5581b0 epoch 7\n\n";
        assert_eq!(gate(text), Ok((GateState::Local, Epoch(7))));
    }

    #[test]
    fn an_unknown_word_is_an_error_not_a_state() {
        for wrong in
            ["", "0x1 db open\n0x2 epoch 1", "0x1 db local", "0x2 epoch 1", "Unknown map identifier."]
        {
            assert!(gate(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn servers_are_read_by_the_headers_names() {
        let text =
            "# pxname,svname,qcur,scur,status,x,\ndb_local,east-db1,0,2,UP,,\ndb_local,east-db2,0,0,DOWN,,\n";
        let read = servers(text).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].up, read[0].sessions), ("east-db1", true, 2));
        assert!(!read[1].up);
        assert!(servers("nonsense").is_err());
    }
}
