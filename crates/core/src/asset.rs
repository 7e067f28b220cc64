//! The words of Table 1.1: what kinds of asset a site has, how many, and how each is protected.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$word_doc])* #[serde(rename = $text)] $word,)* }

        impl $name {
            /// Every one there is.
            pub const ALL: &'static [$name] = &[$($name::$word,)*];

            /// The word, as it is stored and printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$word => $text,)* }
            }
        }
    };
}

words! {
    /// What an asset is.
    AssetKind {
        /// Virtual machines that run the application.
        Compute = "compute",
        /// A Kubernetes cluster.
        Kubernetes = "kubernetes",
        /// A load balancer.
        LoadBalancer = "load_balancer",
        /// A database cluster.
        Database = "database",
        /// Buckets.
        ObjectStorage = "object_storage",
        /// SSH key pairs.
        KeyPair = "key_pair",
        /// What watches the application.
        Monitoring = "monitoring",
        /// Where the code that creates all this is kept.
        Repository = "repository",
        /// Names that users or the application resolve.
        Dns = "dns",
    }
}

words! {
    /// What an asset's DR column says.
    Protection {
        /// It runs in the other region too.
        Deployed = "deployed",
        /// Its content follows in the other region.
        Replicated = "replicated",
        /// A copy of it is in the other region, made now and then.
        Copied = "copied",
        /// It is kept in neither region.
        StoredElsewhere = "stored elsewhere",
        /// It is made from code when it is needed.
        RebuiltOnDemand = "rebuilt on demand",
        /// Its provider runs it in more than one region.
        ProviderManaged = "provider managed",
        /// It is lost with its region: a gap.
        OneRegionOnly = "one region only",
        /// Nobody has seen how it is protected.
        Unknown = "unknown",
    }
}

/// How many there are of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// In all.
    Total(u32),
    /// In each region.
    PerRegion(u32),
}
