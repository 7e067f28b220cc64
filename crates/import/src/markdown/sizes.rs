//! Machine sizes that their provider has retired, or calls previous generation.
//!
//! Only families that the provider's own pages name, as read in 2025; a family that is not here is not judged.

/// What is the matter with a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retired {
    /// What its provider says of it.
    pub said: &'static str,
    /// The family to move to.
    pub instead: &'static str,
}

/// Families of database instances. Source: AWS re:Post, "Reserved Instances end of life" (M4, R4 and T2 of RDS are moved to
/// M5, R5 and T3 from June 2024 on); the Amazon RDS User Guide, "DB instance class types" (the older ones).
const DATABASE: &[(&str, &str)] = &[
    ("t1", "db.t3 or db.t4g"),
    ("t2", "db.t3 or db.t4g"),
    ("m1", "db.m5 or db.m6g"),
    ("m2", "db.r5 or db.r6g"),
    ("m3", "db.m5 or db.m6g"),
    ("m4", "db.m5 or db.m6g"),
    ("r3", "db.r5 or db.r6g"),
    ("r4", "db.r5 or db.r6g"),
    ("cr1", "db.r5 or db.r6g"),
];

/// Families of instances. Source: aws.amazon.com/ec2/previous-generation. T2 is not among them.
const MACHINE: &[(&str, &str)] = &[
    ("t1", "t3 or t4g"),
    ("m1", "m7i or m7g"),
    ("m2", "r7i or r7g"),
    ("m3", "m7i or m7g"),
    ("c1", "c7i or c7g"),
    ("c3", "c7i or c7g"),
    ("cc2", "c7i or c7g"),
    ("r3", "r7i or r7g"),
    ("cr1", "r7i or r7g"),
    ("i2", "i4i"),
    ("hi1", "i4i"),
    ("hs1", "d3"),
    ("g2", "g5"),
    ("cg1", "g5"),
];

/// What is the matter with this size, as a word; none if nothing is known of it.
pub(super) fn retired(size: &str) -> Option<Retired> {
    let lower = size.to_ascii_lowercase();
    let of = |list: &'static [(&str, &str)], rest: &str, said| {
        let (family, _) = rest.split_once('.')?;
        list.iter().find(|(known, _)| *known == family).map(|(_, instead)| Retired { said, instead })
    };
    match lower.strip_prefix("db.") {
        Some(rest) => of(DATABASE, rest, "AWS has retired it for RDS"),
        None => of(MACHINE, &lower, "AWS calls it previous generation"),
    }
}

/// Whether a word is a class of RDS instances.
pub(super) fn is_database_class(size: &str) -> bool {
    size.strip_prefix("db.").is_some_and(|rest| rest.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_retired_is_called_so() {
        for size in ["db.t2.small", "db.m4.large", "DB.R3.xlarge", "m1.small", "c3.large"] {
            assert!(retired(size).is_some(), "{size}");
        }
        for size in ["db.t3.small", "t2.micro", "t3.medium", "m5.large", "db.r6g.large", "large", "db."] {
            assert!(retired(size).is_none(), "{size}");
        }
    }
}
