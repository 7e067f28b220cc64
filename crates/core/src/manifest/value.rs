//! Single values: durations, addresses, names, texts (URLs are in [`super::url`]). Each is parsed once, here, into its own type.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Serializer;
use toml::de::DeValue;

use super::MaxDataLoss;
use super::error::ErrorCode;
use super::reader::{Field, Reader, closest};
use crate::id::InvalidId;

/// The units of durations, in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// The units of sizes, in bytes, the largest first; as PostgreSQL's (manual, section 20.1.1) multiples of 1024.
const SIZES: [(&str, u64); 4] = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];
/// No limit on what may be lost.
const UNLIMITED: &str = "unlimited";
/// An identifier in PostgreSQL: `NAMEDATALEN` - 1 bytes (PostgreSQL 15 manual, section 4.1.1). HAProxy's
/// names and the application's users are kept as short.
const IDENTIFIER_MAX: usize = 63;
/// A line of a table that people read.
const LINE_MAX: usize = 200;
/// A path: Linux's `PATH_MAX`, with the closing zero byte.
pub(super) const PATH_MAX: usize = 4095;

/// A text.
pub(super) fn text<'t>(r: &mut Reader, field: &Field<'t>) -> Option<&'t str> {
    if let DeValue::String(text) = field.value {
        return Some(text);
    }
    r.wrong_type(field, "a text in quotes");
    None
}

/// A text that others' protocols and configurations carry: printable ASCII without blanks, quotes,
/// semicolons (they part HAProxy's commands) or backslashes.
pub(super) fn identifier(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | ';' | '\\');
    bounded(r, field, found, IDENTIFIER_MAX, fits, "letters, digits, and marks without blanks or quotes")
        .map(str::to_owned)
}

/// The lab's name: what can be a folder and a host name.
pub(super) fn label(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    bounded(r, field, found, IDENTIFIER_MAX, fits, "lower-case letters, digits and hyphens")
        .map(str::to_owned)
}

/// A line for people: a name, an address, a place.
pub(super) fn line(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    bounded(r, field, found, LINE_MAX, |c| !c.is_control(), "no control characters").map(str::to_owned)
}

/// A bucket: lower-case letters, digits, dots and hyphens (S3 user guide, "Bucket naming rules").
pub(super) fn bucket(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    bounded(r, field, found, IDENTIFIER_MAX, fits, "lower-case letters, digits, dots and hyphens")
        .map(str::to_owned)
}

/// A path inside a repository, as git names it after a commit and a colon.
pub(super) fn inner_path(r: &mut Reader, field: &Field<'_>) -> Option<String> {
    let found = text(r, field)?;
    bounded(r, field, found, PATH_MAX, |c| !c.is_control(), "no control characters")?;
    if found.starts_with('/') || found.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let message = format!("`{}` is not a path inside the repository", field.path);
        let help = format!("write it from the repository's top, for example: {}", field.with(field.example));
        r.error(ErrorCode::InvalidText, &field.span, message, "leads out of it", help);
        return None;
    }
    Some(found.to_owned())
}

/// A path on the machine of whoever reads the manifest.
pub(super) fn path(r: &mut Reader, field: &Field<'_>) -> Option<PathBuf> {
    let found = text(r, field)?;
    bounded(r, field, found, PATH_MAX, |c| !c.is_control(), "no control characters").map(PathBuf::from)
}

/// A path that is passed through HAProxy's runtime API, where blanks and semicolons part words.
pub(super) fn remote_path(r: &mut Reader, field: &Field<'_>) -> Option<PathBuf> {
    let found = text(r, field)?;
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '\\');
    bounded(r, field, found, PATH_MAX, fits, "no blanks, semicolons or backslashes").map(PathBuf::from)
}

fn bounded<'t>(
    r: &mut Reader,
    field: &Field<'_>,
    found: &'t str,
    max: usize,
    fits: impl Fn(char) -> bool,
    rule: &str,
) -> Option<&'t str> {
    let (message, label) = if found.is_empty() {
        (format!("`{}` is empty", field.path), "empty".to_owned())
    } else if found.len() > max {
        (format!("`{}` is longer than {max} bytes", field.path), format!("{} bytes", found.len()))
    } else if let Some(wrong) = found.chars().find(|c| !fits(*c)) {
        (format!("`{}` cannot have {wrong:?} in it", field.path), format!("{wrong:?} cannot stand here"))
    } else {
        return Some(found);
    };
    let help = format!("write 1 to {max} bytes, {rule}; for example: {}", field.with(field.example));
    r.error(ErrorCode::InvalidText, &field.span, message, label, help);
    None
}

/// One of core's identifiers.
pub(super) fn name<T: FromStr<Err = InvalidId>>(r: &mut Reader, field: &Field<'_>) -> Option<T> {
    let found = text(r, field)?;
    let wrong = match found.parse::<T>() {
        Ok(name) => return Some(name),
        Err(wrong) => wrong,
    };
    let mended = found.trim().trim_end_matches('.').to_ascii_lowercase().replace(' ', "-");
    let instead = if mended.parse::<T>().is_ok() { quoted(&mended) } else { field.example.to_owned() };
    r.error(
        ErrorCode::InvalidName,
        &field.span,
        format!("`{}` is not a valid {}", field.path, wrong.kind),
        wrong.rule,
        format!("write, for example: {}", field.with(&instead)),
    );
    None
}

/// One of a closed set.
pub(super) fn choice<T: Copy>(
    r: &mut Reader,
    field: &Field<'_>,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Option<T> {
    let found = text(r, field)?;
    if let Some(known) = all.iter().find(|known| as_str(**known) == found) {
        return Some(*known);
    }
    let label = match closest(found, all.iter().map(|known| as_str(*known))) {
        Some(close) => format!("did you mean {}?", quoted(close)),
        None => "not one of the choices".to_owned(),
    };
    let choices: Vec<_> = all.iter().map(|known| quoted(as_str(*known))).collect();
    r.error(
        ErrorCode::InvalidChoice,
        &field.span,
        format!("`{}` cannot be {}", field.path, quoted(found)),
        label,
        format!("write {}", field.with(&choices.join(" or "))),
    );
    None
}

/// A duration from `min` to `max`.
pub(super) fn duration(r: &mut Reader, field: &Field<'_>, min: Duration, max: Duration) -> Option<Duration> {
    let found = match field.value {
        DeValue::Integer(number) => return unitless(r, field, number.as_str()),
        DeValue::Float(number) => return unitless(r, field, number.as_str()),
        DeValue::String(found) => found,
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            r.wrong_type(field, "a duration in quotes");
            return None;
        }
    };
    if !found.is_empty() && found.bytes().all(|b| b.is_ascii_digit()) {
        return unitless(r, field, found);
    }
    let Some(duration) = parse_duration(found) else {
        r.error(
            ErrorCode::InvalidDuration,
            &field.span,
            format!("`{}` is not a duration", field.path),
            "not a whole number and a unit",
            format!("write a whole number and ms, s, m, h or d, for example: {}", field.with(field.example)),
        );
        return None;
    };
    if duration < min || duration > max {
        let side = if duration < min { "short" } else { "long" };
        let help =
            format!("write {} to {}, for example: {}", show(min), show(max), field.with(field.example));
        let message = format!("`{}` is too {side}", field.path);
        r.error(ErrorCode::DurationRange, &field.span, message, format!("too {side}"), help);
        return None;
    }
    Some(duration)
}

/// A time to live: whole seconds (RFC 1035, section 3.2.1), 1 s to 1 day.
pub(super) fn ttl(r: &mut Reader, field: &Field<'_>) -> Option<Duration> {
    let ttl = duration(r, field, Duration::from_secs(1), Duration::from_secs(86_400))?;
    if ttl.subsec_nanos() == 0 {
        return Some(ttl);
    }
    let up = show(Duration::from_secs(ttl.as_secs() + 1));
    let help = format!("write, for example: {}", field.with(&quoted(&up)));
    let message = format!("`{}` is not a whole number of seconds", field.path);
    r.error(ErrorCode::DurationRange, &field.span, message, "DNS counts whole seconds", help);
    None
}

fn unitless(r: &mut Reader, field: &Field<'_>, number: &str) -> Option<Duration> {
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let help = if digits {
        format!(
            "write {} for seconds; the units are ms, s, m, h and d",
            field.with(&format!("\"{number}s\""))
        )
    } else {
        format!("write a whole number and ms, s, m, h or d, for example: {}", field.with(field.example))
    };
    let message = format!("`{}` has no unit", field.path);
    r.error(ErrorCode::InvalidDuration, &field.span, message, "of what?", help);
    None
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*factor)?))
}

/// A duration as the manifest writes it, in the largest unit that fits.
pub(super) fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = match UNITS.iter().find(|(_, factor)| millis != 0 && millis % factor == 0) {
        Some(found) => *found,
        None => ("s", 1000),
    };
    format!("{}{unit}", millis / factor)
}

/// For serde: a duration as the manifest writes it.
pub(super) fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

/// The same of one that may be left out.
pub(super) fn as_text_if_any<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => as_text(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// An IP address and a port.
pub(super) fn socket(r: &mut Reader, field: &Field<'_>) -> Option<SocketAddr> {
    let found = text(r, field)?;
    let port = field.example.trim_matches('"').rsplit(':').next().unwrap_or("5432");
    let (label, instead) = match (found.parse::<SocketAddr>(), found.parse::<IpAddr>()) {
        (Ok(socket), _) if socket.port() == 0 => {
            ("port 0 is no port", quoted(&format!("{}:{port}", bracketed(socket.ip()))))
        }
        (Ok(socket), _) if socket.ip().is_unspecified() || socket.ip().is_multicast() => {
            ("nothing can be reached there", field.example.to_owned())
        }
        (Ok(socket), _) => return Some(socket),
        (Err(_), Ok(ip)) => ("the port is missing", quoted(&format!("{}:{port}", bracketed(ip)))),
        (Err(_), Err(_)) => {
            ("an IP address and a port must stand here: names are what moves", field.example.to_owned())
        }
    };
    let message = format!("`{}` is not an address with a port", field.path);
    let help = format!("write, for example: {}", field.with(&instead));
    r.error(ErrorCode::InvalidAddress, &field.span, message, label, help);
    None
}

/// An IP address without a port.
pub(super) fn ip(r: &mut Reader, field: &Field<'_>) -> Option<IpAddr> {
    let found = text(r, field)?;
    let (label, instead) = match (found.parse::<IpAddr>(), found.parse::<SocketAddr>()) {
        (Ok(ip), _) if ip.is_unspecified() || ip.is_multicast() => {
            ("nothing can be reached there", field.example.to_owned())
        }
        (Ok(ip), _) => return Some(ip),
        (Err(_), Ok(socket)) => ("a port has no place here", quoted(&socket.ip().to_string())),
        (Err(_), Err(_)) => ("an IP address must stand here: names are what moves", field.example.to_owned()),
    };
    let message = format!("`{}` is not an address", field.path);
    let help = format!("write, for example: {}", field.with(&instead));
    r.error(ErrorCode::InvalidAddress, &field.span, message, label, help);
    None
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// `"unlimited"`, or a number of bytes.
pub(super) fn max_data_loss(r: &mut Reader, field: &Field<'_>) -> Option<MaxDataLoss> {
    let found = text(r, field)?;
    if found == UNLIMITED {
        return Some(MaxDataLoss::Unlimited);
    }
    if let Some(bytes) = parse_size(found) {
        return Some(MaxDataLoss::Bytes(bytes));
    }
    let message = format!("`{}` is not a size", field.path);
    let help = format!(
        "write \"0\", \"{UNLIMITED}\", or a whole number and kB, MB or GB, for example: {}",
        field.with(field.example)
    );
    r.error(ErrorCode::InvalidSize, &field.span, message, "not a whole number and a unit", help);
    None
}

fn parse_size(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// As the manifest writes it, in the largest unit that fits.
pub(super) fn show_max_data_loss(loss: MaxDataLoss) -> String {
    let bytes = match loss {
        MaxDataLoss::Unlimited => return UNLIMITED.to_owned(),
        MaxDataLoss::Bytes(0) => return "0".to_owned(),
        MaxDataLoss::Bytes(bytes) => bytes,
    };
    let (unit, factor) = SIZES.iter().find(|(_, factor)| bytes % factor == 0).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_the_largest_unit_that_fits_and_read_back() {
        for text in ["0s", "1ms", "999ms", "1s", "90s", "1500ms", "2m", "1h", "25h", "1d"] {
            assert_eq!(parse_duration(text).map(show).as_deref(), Some(text));
        }
        for wrong in ["", "s", "5", "5 s", "-5s", "1.5s", "1m30s", "5S", "5sec", "99999999999999999999s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong:?} was accepted");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits_and_read_back() {
        for text in ["0", "1B", "1023B", "1kB", "16MB", "1025kB", "3GB"] {
            assert_eq!(
                parse_size(text).map(|n| show_max_data_loss(MaxDataLoss::Bytes(n))).as_deref(),
                Some(text)
            );
        }
        for wrong in ["", "1", "MB", "16 MB", "-1MB", "16mb", "1.5GB", "99999999999GB"] {
            assert_eq!(parse_size(wrong), None, "{wrong:?} was accepted");
        }
    }
}
