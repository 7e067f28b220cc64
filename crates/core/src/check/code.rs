//! The checks there are: each with a code, how much it matters, and what it says when it holds.

use serde::{Deserialize, Serialize};

/// How much a check that fails matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A move will not work, or loses data.
    Critical,
    /// A move is likely to fail or to take too long.
    High,
    /// It weakens the site.
    Medium,
    /// Worth knowing.
    Low,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        }
    }
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The plan itself.
    Plan,
    /// High availability inside a region.
    Availability,
    /// The database.
    Database,
    /// Names, and health checks that move them.
    Names,
    /// Whether both regions are alike.
    Parity,
    /// Buckets.
    Storage,
    /// The code.
    Repository,
    /// What decides and acts.
    Control,
}

impl Category {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Plan => "plan",
            Category::Availability => "availability",
            Category::Database => "database",
            Category::Names => "names",
            Category::Parity => "parity",
            Category::Storage => "storage",
            Category::Repository => "repository",
            Category::Control => "control",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident, $category:ident, $title:literal, $remedy:literal;)*) => {
        /// The checks. A number never changes its meaning; each has a page in `docs/checks/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl Code {
            /// Every check there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity,)* }
            }

            /// What it is about.
            #[must_use]
            pub fn category(self) -> Category {
                match self { $(Code::$name => Category::$category,)* }
            }

            /// What is so when it holds.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// What to do when it does not.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    /// Names move after the database is promoted.
    NamesAfterDatabase = "BSC-C001", Critical, Plan,
        "names move after the database is promoted",
        "Put the step that promotes the database before the one that moves the names.";
    /// The old region is fenced.
    Fenced = "BSC-C002", Critical, Plan,
        "the old region is fenced",
        "Add a step, before the promotion, after which the old region can't write: one that works without reaching it. Where bascule makes the plan, run keepers (docs/keeper.md).";
    /// The move is verified.
    Verified = "BSC-C003", High, Plan,
        "the move is verified",
        "Add a last step: write through the front door as a user does, and read it back.";
    /// There is a way back.
    Failback = "BSC-C004", Medium, Plan,
        "there is a way back",
        "Add the steps that make the old region the standby, and those that move back.";
    /// Somebody owns the move.
    Owner = "BSC-C005", Medium, Plan,
        "somebody owns the move",
        "Name a person or a team that is on call.";
    /// The loss objective is set.
    LossObjective = "BSC-C006", High, Plan,
        "the loss objective is set",
        "Agree with those who own the data on what may be lost, and set the RPO.";
    /// The time objective is set.
    TimeObjective = "BSC-C007", High, Plan,
        "the time objective is set",
        "Agree on how long users may be without the site, and set the RTO.";
    /// No step needs the region that is lost.
    LostRegionUnneeded = "BSC-C008", Critical, Plan,
        "no step needs the region that is lost",
        "Let the step work in the region that is left.";
    /// What the move calls outlives the region.
    ControlSurvives = "BSC-C009", Critical, Plan,
        "what the move calls outlives the region",
        "Replicate it to the other region or move it to a third place, and rehearse with the region cut off.";
    /// The move is more than a failover inside a region.
    AnotherRegion = "BSC-C010", High, Plan,
        "the move is more than a failover inside a region",
        "Add the step that promotes the other region's database; keep automatic failover for the loss of a single machine.";
    /// Each step's region is one of the two.
    RegionsKnown = "BSC-C011", High, Plan,
        "each step's region is one of the two",
        "Correct the region in the step, or in the document's list of zones.";
    /// Each database has three members.
    DatabaseNodes = "BSC-C012", High, Availability,
        "each database has three members",
        "Add members until there are three, in different zones.";
    /// Each Kubernetes cluster has three nodes.
    ClusterNodes = "BSC-C013", Medium, Availability,
        "each Kubernetes cluster has three nodes",
        "Add nodes until there are three, in different zones.";
    /// Each region has three instances.
    Instances = "BSC-C014", High, Availability,
        "each region has three instances",
        "Start instances until three are alive in each region, or set the group's size to three.";
    /// Instances are spread over zones.
    Spread = "BSC-C015", High, Availability,
        "instances are spread over zones",
        "Put the group over at least two zones, with a subnet in each.";
    /// Each region has its load balancer.
    LoadBalancers = "BSC-C016", Critical, Availability,
        "each region has its load balancer",
        "Create the load balancer in the other region too.";
    /// Each instance is attached to its load balancer.
    Targets = "BSC-C017", High, Availability,
        "each instance is attached to its load balancer",
        "Attach the instances that are missing, and look at why others are not healthy.";
    /// The database is replicated across regions.
    CrossRegionReplica = "BSC-C018", Critical, Database,
        "the database is replicated across regions",
        "Create a standby cluster in the other region that follows this one.";
    /// A member takes over by itself.
    AutomaticFailover = "BSC-C019", High, Database,
        "a member takes over by itself",
        "Turn automatic failover on (Patroni: not paused; RDS: Multi-AZ).";
    /// Backups reach back far enough.
    Retention = "BSC-C020", Medium, Database,
        "backups reach back far enough",
        "Raise the retention.";
    /// The standby is within the loss objective.
    LagInObjective = "BSC-C021", Critical, Database,
        "the standby is within the loss objective",
        "Find what holds the standby back: network, a long query on it, or a disk that is too slow.";
    /// Database members have names of their own.
    MemberNames = "BSC-C022", High, Database,
        "database members have names of their own",
        "Rename the members so that each name occurs once, with the region in the name.";
    /// Replication slots are there.
    Slots = "BSC-C023", High, Database,
        "replication slots are there",
        "Create the slot, as a permanent one so that it outlives a failover inside the region; for a follower without one raise `wal_keep_size`.";
    /// Database parameters are equal.
    Parameters = "BSC-C024", High, Database,
        "database parameters are equal",
        "Apply one parameter group or configuration to both; with keepers, leave `synchronous_commit` on.";
    /// Database versions are equal.
    Versions = "BSC-C025", High, Database,
        "database versions are equal",
        "Upgrade the standby first, then move, then upgrade the other.";
    /// The application reaches its database by name.
    ReachedByName = "BSC-C026", High, Database,
        "the application reaches its database by name",
        "Give the database a name that moves, with a short time to live, and let the application use that.";
    /// A region that was left can return.
    WayBack = "BSC-C027", High, Database,
        "a region that was left can return",
        "Turn rewinding on (Patroni: `use_pg_rewind`, with data checksums or `wal_log_hints`), or have a way to create the replica anew.";
    /// Names are managed.
    NamesManaged = "BSC-C028", Critical, Names,
        "names are managed",
        "Bring the record under the manifest or under code.";
    /// Times to live fit the time objective.
    TimeToLive = "BSC-C029", High, Names,
        "times to live fit the time objective",
        "Lower the time to live, and wait out the old one before you count on it.";
    /// Health checks can pass.
    HealthCheckPasses = "BSC-C030", High, Names,
        "health checks can pass",
        "Check a path that needs no login and says whether the instance can do its work.";
    /// Each name has the standby's address.
    StandbyTarget = "BSC-C031", Critical, Names,
        "each name has the standby's address",
        "Give the name a target in the other region: a failover record, or an entry in the manifest.";
    /// Instance sizes are equal.
    Sizes = "BSC-C032", High, Parity,
        "instance sizes are equal",
        "Give both regions the same size.";
    /// Images are equal.
    Images = "BSC-C033", High, Parity,
        "images are equal",
        "Release to both regions, and copy the image to the other one. Compare by digest where ids differ by region.";
    /// Key pairs are equal.
    KeyPairs = "BSC-C034", Medium, Parity,
        "key pairs are equal",
        "Import the same public key into the other region.";
    /// Secrets are equal.
    Secrets = "BSC-C035", Critical, Parity,
        "secrets are equal",
        "Replicate the secrets, and rotate them on both sides at once.";
    /// Security rules are equal.
    Rules = "BSC-C036", High, Parity,
        "security rules are equal",
        "Create the rules of both regions from the same code.";
    /// Quotas suffice in both regions.
    Quotas = "BSC-C037", High, Parity,
        "quotas suffice in both regions",
        "Ask for the raise now.";
    /// Address ranges do not overlap.
    AddressRanges = "BSC-C038", Medium, Parity,
        "address ranges do not overlap",
        "Give one of the regions another range; before it holds data is the cheapest time.";
    /// Buckets keep versions.
    Versioning = "BSC-C039", Medium, Storage,
        "buckets keep versions",
        "Turn versioning on, with a rule that removes versions that are too old.";
    /// Buckets are replicated to the other region.
    BucketReplication = "BSC-C040", High, Storage,
        "buckets are replicated to the other region",
        "Replicate the bucket to one in the other region, and copy what is already there.";
    /// Buckets are encrypted.
    Encryption = "BSC-C041", High, Storage,
        "buckets are encrypted",
        "Turn encryption on, with a key that the other region can use.";
    /// Buckets are not public.
    NotPublic = "BSC-C042", Critical, Storage,
        "buckets are not public",
        "Block public access, and give users what they need by signed links.";
    /// The newest backup is within the loss objective.
    BackupAge = "BSC-C043", Critical, Storage,
        "the newest backup is within the loss objective",
        "Look why no backup finished, or no log was archived, since then; archive the log continuously, and let an alert watch its age.";
    /// The code can be read.
    RepositoryReachable = "BSC-C044", High, Repository,
        "the code can be read",
        "Look at the address and the credentials.";
    /// The code outlives a region.
    RepositoryElsewhere = "BSC-C045", High, Repository,
        "the code outlives a region",
        "Mirror it to the other region or to a place outside both.";
    /// What runs is what the code says.
    NoDrift = "BSC-C046", Medium, Repository,
        "what runs is what the code says",
        "Bring the changes into the code, or apply the code.";
    /// The executor may act in both regions.
    Permissions = "BSC-C047", Critical, Control,
        "the executor may act in both regions",
        "Grant what is refused, in both regions.";
    /// A majority of the voters outlives each place.
    VotersApart = "BSC-C048", Critical, Control,
        "a majority of the voters outlives each place",
        "Spread the voters so that no place has half of them: one in each region and a third in neither, or two, two and one.";
    /// Keepers have one version.
    KeeperVersions = "BSC-C049", Medium, Control,
        "keepers have one version",
        "Finish the upgrade.";
    /// Clocks agree.
    ClockSkew = "BSC-C050", Medium, Control,
        "clocks agree",
        "Repair time synchronisation on the hosts that are off.";
    /// Commits need a keeper's permit.
    PermitInForce = "BSC-C051", Critical, Control,
        "commits need a keeper's permit",
        "Run `bascule guard`; where Patroni's `synchronous_mode` is on, turn that off first.";
}
