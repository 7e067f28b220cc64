//! A text as words that can be compared: lower-case, in the singular, compounds in one word, misspelt terms mended.
//!
//! Invariant: takes time in proportion to the text. What was mended is marked, because it is a guess.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As it is compared: `loadbalancer`, `database`, `us-east-2`.
    pub text: String,
    /// Whether it was misspelt.
    pub guessed: bool,
}

impl Word {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub fn is_one_of(&self, texts: &[&str]) -> bool {
        texts.contains(&self.text.as_str())
    }

    /// Whether it is this verb in any of its forms: `stop`, `stops`, `stopped`, `stopping`.
    pub fn is_verb(&self, base: &str) -> bool {
        // Nearly every word is another one already by its first letter, and each is asked for a hundred verbs.
        if self.text.as_bytes().first() != base.as_bytes().first() {
            return false;
        }
        let Some(rest) = self.text.strip_prefix(base) else {
            let shorter = base.strip_suffix('e').and_then(|stem| self.text.strip_prefix(stem));
            return shorter == Some("ing");
        };
        match rest {
            "" | "d" | "ed" | "ing" | "es" => true,
            _ => {
                let doubled = base.chars().last().and_then(|last| rest.strip_prefix(last));
                matches!(doubled, Some("ed" | "ing"))
            }
        }
    }

    /// Whether it is a host's name: `app.shop.test`.
    pub fn is_host(&self) -> bool {
        is_host(&self.text)
    }

    pub fn is_one_of_verbs(&self, bases: &[&str]) -> bool {
        bases.iter().any(|base| self.is_verb(base))
    }
}

/// Terms that are mended when they are misspelt, by their first letter. Short words are not here: one letter more or
/// less makes another word of them.
const TERMS: &[&str] = &[
    "application",
    "aurora",
    "balancer",
    "backup",
    "bucket",
    "cluster",
    "database",
    "description",
    "disaster",
    "failback",
    "failover",
    "github",
    "gitlab",
    "grafana",
    "instance",
    "kubernetes",
    "loadbalancer",
    "monitoring",
    "postgres",
    "postgresql",
    "preparation",
    "prerequisite",
    "prestep",
    "procedure",
    "prometheus",
    "promote",
    "purpose",
    "quantity",
    "recovery",
    "region",
    "replica",
    "replicated",
    "repository",
    "summary",
    "terraform",
];

/// Two words that are one: the first, the second, and both together.
const COMPOUNDS: &[(&str, &str, &str)] = &[
    ("load", "balancer", "loadbalancer"),
    ("fail", "over", "failover"),
    ("failing", "over", "failover"),
    ("failed", "over", "failover"),
    ("fail", "back", "failback"),
    ("failing", "back", "failback"),
    ("switch", "over", "switchover"),
    ("switch", "back", "failback"),
    ("roll", "back", "rollback"),
    ("cut", "over", "cutover"),
    ("set", "up", "setup"),
    ("stand", "up", "setup"),
    ("spin", "up", "setup"),
    ("bring", "up", "setup"),
    ("pre", "step", "prestep"),
    ("pre", "requisite", "prerequisite"),
    ("data", "base", "database"),
    ("key", "pair", "keypair"),
    ("ec2", "key", "keypair"),
    ("security", "group", "securitygroup"),
    ("ssh", "key", "keypair"),
    ("route", "53", "route53"),
    ("read", "only", "readonly"),
    ("name", "server", "nameserver"),
    ("host", "name", "hostname"),
    ("object", "storage", "bucket"),
    ("virtual", "machine", "vm"),
    ("shut", "down", "shutdown"),
    ("back", "up", "backup"),
    ("run", "book", "runbook"),
    ("smoke", "test", "smoketest"),
    ("on", "call", "oncall"),
    ("multi", "region", "multiregion"),
    ("single", "region", "singleregion"),
    ("active", "active", "activeactive"),
    ("off", "site", "offsite"),
    ("auto", "failover", "autofailover"),
];

/// The longest word that is compared, in characters: the longest term has 12.
const MAX_WORD: usize = 48;

/// The words of a text. A hyphen or a point divides, unless a digit makes a name of it: `us-east-2`, `t3.medium`.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '\'' | '’');
    for raw in text.split(|c| !part(c)) {
        let raw = raw.trim_matches(['-', '.', '_', '\'', '’']);
        if raw.is_empty() {
            continue;
        }
        let lower = lower(raw);
        // A capital after a point begins a sentence whose space was forgotten.
        let sentence = raw.as_bytes().windows(2).any(|pair| pair[0] == b'.' && pair[1].is_ascii_uppercase());
        if !sentence && is_host(&lower) {
            words.push(Word { text: lower, guessed: false });
            continue;
        }
        let digit = |c: char| c.is_ascii_digit();
        let whole = lower.contains(digit) && !(lower.starts_with(digit) && lower.contains('-'));
        if whole {
            push(&mut words, lower);
        } else {
            lower
                .split(['-', '.', '_'])
                .filter(|w| !w.is_empty())
                .for_each(|w| push(&mut words, w.to_owned()));
        }
    }
    words
}

/// The last labels of hosts' names that documents hold: those of RFC 6761, of private networks, and the usual public ones.
const TOP_LABELS: &[&str] = &[
    "test",
    "example",
    "invalid",
    "localhost",
    "local",
    "internal",
    "lan",
    "corp",
    "com",
    "net",
    "org",
    "io",
    "dev",
    "app",
    "cloud",
    "co",
    "eu",
    "uk",
    "de",
    "fr",
    "nl",
    "in",
    "jp",
    "us",
    "info",
    "gov",
    "edu",
];

/// Whether a lower-case word is a host's name. Its words are no verbs: `check.shop.test` asks for no test.
fn is_host(lower: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    lower.contains('.')
        && lower.split('.').all(label)
        && lower.rsplit('.').next().is_some_and(|last| TOP_LABELS.contains(&last))
}

/// In lower case, without apostrophes.
fn lower(raw: &str) -> String {
    let mut lower: String = match raw.char_indices().nth(MAX_WORD) {
        Some((end, _)) => raw[..end].to_lowercase(),
        None if raw.is_ascii() => raw.to_ascii_lowercase(),
        None => raw.to_lowercase(),
    };
    lower.retain(|c| !matches!(c, '\'' | '’'));
    lower
}

fn push(words: &mut Vec<Word>, lower: String) {
    let word = mended(singular(lower));
    let pair = words.last().and_then(|last| {
        COMPOUNDS
            .iter()
            .find(|(first, second, _)| last.is(first) && word.is(second))
            .map(|(_, _, both)| *both)
    });
    match (pair, words.last_mut()) {
        (Some(both), Some(last)) => {
            *last = Word { text: both.to_owned(), guessed: last.guessed || word.guessed };
        }
        _ => words.push(word),
    }
}

/// Without the `s` of the plural, as far as that matters to the terms.
fn singular(mut word: String) -> String {
    if !word.ends_with('s') {
        return word;
    }
    match word.as_str() {
        "dbs" | "vms" | "azs" | "elbs" => {
            word.pop();
            return word;
        }
        "kubernetes" | "k8s" => return word,
        // Too short for the rule of near words, and it heads the most important part.
        "stpes" | "setps" => return "step".to_owned(),
        _ => {}
    }
    if word.len() > 5 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        word.pop();
    }
    word
}

/// The term that a word was probably meant to be: one letter wrong in six to eight, two in more.
fn mended(word: String) -> Word {
    let letters = word.len();
    if letters < 5 || !word.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Word { text: word, guessed: false };
    }
    let mut meant = None;
    for term in TERMS.iter().filter(|term| term.as_bytes()[0] == word.as_bytes()[0]) {
        if *term == word {
            return Word { text: word, guessed: false };
        }
        let allowed = if term.len() >= 9 { 2 } else { 1 };
        let near = meant.is_none() && term.len() >= 6 && term.len().abs_diff(letters) <= allowed;
        if near && distance(word.as_bytes(), term.as_bytes()) <= allowed {
            meant = Some(*term);
        }
    }
    let Some(term) = meant.filter(|_| !OTHERS.contains(&word.as_str())) else {
        return Word { text: word, guessed: false };
    };
    // The singular of a term that ends in s, and a word that only has another ending, are not misspelt.
    let guessed = !ENDINGS.contains(&(word.as_str(), term));
    Word { text: term.to_owned(), guessed }
}

/// Other forms of a term that are as good.
const ENDINGS: &[(&str, &str)] = &[
    ("kubernete", "kubernetes"),
    ("balance", "balancer"),
    ("loadbalance", "loadbalancer"),
    ("replicate", "replicated"),
    ("postgre", "postgres"),
    ("prerequisit", "prerequisite"),
];

/// Words of their own that are near a term.
const OTHERS: &[&str] = &[
    "balanced",
    "clustered",
    "failure",
    "instanced",
    "promoted",
    "promotes",
    "promoting",
    "regional",
    "replicates",
    "replication",
    "restore",
    "described",
    "applications",
    "recover",
    "recovers",
    "recovered",
    "regions",
    "proposed",
    "purposed",
    "buckets",
];

/// How many letters must be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).
pub(super) fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Whether the words hold this one.
pub(super) fn has(words: &[Word], text: &str) -> bool {
    words.iter().any(|word| word.is(text))
}

/// Whether the words hold any of these.
pub(super) fn has_any(words: &[Word], texts: &[&str]) -> bool {
    words.iter().any(|word| word.is_one_of(texts))
}

/// Whether the words hold all of these.
pub(super) fn has_all(words: &[Word], texts: &[&str]) -> bool {
    texts.iter().all(|text| has(words, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        words(text).iter().map(|w| w.text.clone()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn compounds_plurals_and_misspelt_terms_become_one_word() {
        for (text, expected) in [
            ("Load blancer", "loadbalancer"),
            ("load-balancers", "loadbalancer"),
            ("Kuberenetes clusters", "kubernetes cluster"),
            ("fail-over the DB's", "failover the db"),
            ("Route 53, us-east-2.", "route53 us-east-2"),
            ("SSH key pairs", "keypair pair"),
            ("db.t2.small", "db.t2.small"),
            ("RDS-primary, a 3-node cluster", "rds primary a 3 node cluster"),
            ("repositories and policies", "repository and policy"),
            ("Point app.shop.test, db.shop.example.", "point app.shop.test db.shop.example"),
            ("It is down.Test it", "it is down test it"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn words_near_a_term_that_are_words_stay() {
        for text in ["restore", "recover", "regional", "point", "instant", "remote", "failure"] {
            assert_eq!(words(text), vec![Word { text: text.to_owned(), guessed: false }], "{text}");
        }
    }

    #[test]
    fn a_verb_is_known_in_its_forms() {
        for word in ["stop", "stopped", "stopping", "promote", "promoted", "promoting"] {
            assert!(words(word)[0].is_one_of_verbs(&["stop", "promote"]), "{word}");
        }
        assert!(!words("storm")[0].is_verb("stop"));
    }
}
