//! Which resource another one means: by its address in code, by its identifier, name or ARN in a state.

use std::collections::HashMap;

use super::label;
use crate::terraform::{Declared, Facts, Known, Resource};

/// What papers declare, with an index for what refers to what.
pub(super) struct Links<'a> {
    pub declared: &'a Declared,
    /// By root and address without index.
    addresses: HashMap<(&'a str, &'a str), usize>,
    /// By root and identifier or name. Two roots may use the same name.
    texts: HashMap<(&'a str, &'a str), usize>,
    /// By identifier or name, if only one resource has it.
    anywhere: HashMap<&'a str, Option<usize>>,
    /// What only says something of another resource, by that one's index.
    parts: HashMap<usize, Vec<usize>>,
    /// The first that says something of a bucket that can't be told.
    loose: Option<String>,
}

impl<'a> Links<'a> {
    pub fn new(declared: &'a Declared) -> Self {
        let mut links = Links {
            declared,
            addresses: HashMap::new(),
            texts: HashMap::new(),
            anywhere: HashMap::new(),
            parts: HashMap::new(),
            loose: None,
        };
        for (at, resource) in declared.resources.iter().enumerate() {
            let root = resource.root.as_str();
            links.addresses.entry((root, label(resource))).or_insert(at);
            for text in resource.id.as_deref().into_iter().chain(own_name(resource)) {
                links.texts.entry((root, text)).or_insert(at);
                links
                    .anywhere
                    .entry(text)
                    .and_modify(|there| *there = there.filter(|i| *i == at))
                    .or_insert(Some(at));
            }
        }
        for (at, resource) in declared.resources.iter().enumerate() {
            let (whole, of_bucket) = match &resource.facts {
                Facts::BucketVersioning { bucket, .. }
                | Facts::BucketReplication { bucket, .. }
                | Facts::BucketPublicAccess { bucket, .. } => (bucket, true),
                Facts::Listener { load_balancer, .. } => (load_balancer, false),
                _ => continue,
            };
            match links.follow(resource, whole) {
                Some(whole) => links.parts.entry(whole).or_default().push(at),
                None if of_bucket && links.loose.is_none() => {
                    links.loose = Some(format!("which bucket {} is about is unknown", resource.address));
                }
                None => {}
            }
        }
        links
    }

    /// What says something of a resource, such as a bucket's versioning.
    pub fn parts_of(&self, index: usize) -> impl Iterator<Item = &'a Resource> + '_ {
        self.parts.get(&index).into_iter().flatten().map(|at| &self.declared.resources[*at])
    }

    /// Why a bucket may have parts that were not found.
    pub fn loose(&self) -> Option<String> {
        self.loose.clone()
    }

    /// The resource that a link of another resource means, as its index.
    pub fn find(&self, from: &Resource, link: &str) -> Option<usize> {
        let root = from.root.as_str();
        if let Some(at) = self.texts.get(&(root, link)) {
            return Some(*at);
        }
        if let Some(last) = link.strip_prefix("arn:").and_then(|arn| arn.rsplit([':', '/']).next()) {
            return self.anywhere.get(last).copied().flatten();
        }
        // `aws_s3_bucket.logs[0].id` is the bucket at `aws_s3_bucket.logs`.
        let mut dots = link.match_indices('.').map(|(at, _)| at);
        let address = match (dots.next(), dots.next()) {
            (Some(_), Some(second)) => &link[..second],
            (Some(_), None) => link,
            (None, _) => return self.anywhere.get(link).copied().flatten(),
        };
        let address = address.split('[').next().unwrap_or(address);
        self.addresses.get(&(root, address)).copied()
    }

    /// The resource that a link which may be left out means.
    pub fn follow(&self, from: &Resource, link: &Known<Option<String>>) -> Option<usize> {
        self.find(from, link.get()?.as_deref()?)
    }

    /// What hides resources, if anything does: a module whose inside was not handed over.
    pub fn hidden(&self) -> Option<String> {
        let module = self.declared.modules.first()?;
        Some(format!("what {} makes is unknown", module.address))
    }
}

/// The name that others call a resource by.
fn own_name(resource: &Resource) -> Option<&str> {
    match &resource.facts {
        Facts::Bucket { name, .. } | Facts::KeyPair { name, .. } | Facts::LoadBalancer { name, .. } => {
            name.get()?.as_deref()
        }
        Facts::Database { identifier, .. } | Facts::DatabaseCluster { identifier, .. } => {
            identifier.get()?.as_deref()
        }
        Facts::GlobalDatabase { identifier, .. } => identifier.get().map(String::as_str),
        Facts::KubernetesCluster { name, .. } => name.get().map(String::as_str),
        _ => None,
    }
}
