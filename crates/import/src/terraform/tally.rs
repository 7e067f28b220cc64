//! What a reader met but could not use, counted: one finding a kind, however often it was met.

use std::collections::BTreeMap;

use super::mapping::{self, Mapped};
use super::model::{Declared, Known, Place, Resource};
use super::region;
use super::value::Value;
use crate::Code;
use crate::terraform::Facts;

/// How many types that are not known here are named; a provider has about 1,500.
const MAX_TYPES: usize = 2000;

/// Counts of one input.
#[derive(Default)]
pub(super) struct Tally {
    /// Types that are not known here: how often, and where the first is.
    types: BTreeMap<String, (usize, Place)>,
    /// Assets whose region is unknown: how many, the first, and why.
    placeless: Option<(usize, Place, String)>,
    /// Assets whose number is unknown.
    countless: Vec<(Place, String)>,
    /// What makes nothing: data sources, outputs, …
    idle: BTreeMap<&'static str, usize>,
}

/// A resource before its attributes are looked at.
pub(super) struct Raw {
    pub root: String,
    pub address: String,
    pub type_name: String,
    pub count: Known<u32>,
    pub id: Option<String>,
    pub place: Place,
}

impl Tally {
    /// Make a resource, and remember what is missing of it.
    pub(super) fn resource(
        &mut self,
        raw: Raw,
        values: &Value,
        provider: impl FnOnce() -> Known<String>,
    ) -> Resource {
        let Raw { root, address, type_name, count, id, place } = raw;
        let mapped = mapping::map(&type_name, values);
        if mapped.is_none() && (self.types.len() < MAX_TYPES || self.types.contains_key(&type_name)) {
            self.types.entry(type_name.clone()).or_insert_with(|| (0, place.clone())).0 += 1;
        }
        let Mapped { kind, global, facts } =
            mapped.unwrap_or(Mapped { kind: None, global: false, facts: Facts::Other });
        let region = region::of(values, global, provider);
        let resource = Resource { root, address, type_name, kind, region, count, id, place, facts };
        if resource.kind.is_some() {
            self.missing(&resource);
        }
        resource
    }

    fn missing(&mut self, resource: &Resource) {
        if let Known::Unknown { why } = &resource.region {
            let first = || (0, resource.place.clone(), format!("{}: {why}", resource.address));
            self.placeless.get_or_insert_with(first).0 += 1;
        }
        if let Known::Unknown { why } = resource.units() {
            self.countless.push((resource.place.clone(), format!("{}: {why}", resource.address)));
        }
    }

    /// Something that makes nothing.
    pub(super) fn idle(&mut self, what: &'static str) {
        *self.idle.entry(what).or_default() += 1;
    }

    /// Say it all.
    pub(super) fn tell(self, file: &str, declared: &mut Declared) {
        let whole = Place { file: file.to_owned(), line: 0 };
        if let Some((number, place, first)) = self.placeless {
            declared.note(
                Code::TerraformNoRegion,
                &place,
                format!("{} in a region that is not told; the first is {first}", counted(number, "asset")),
                "write the provider's region as a literal or a variable with a default, or hand over a state",
            );
        }
        for (place, what) in self.countless {
            let remedy = "hand over a state or a plan: there each one stands for itself";
            declared.note(
                Code::TerraformNoCount,
                &place,
                format!("how many there are is unknown: {what}"),
                remedy,
            );
        }
        for (type_name, (number, place)) in self.types {
            let message =
                format!("{} of type {type_name}: nothing is kept of it", counted(number, "resource"));
            declared.note(
                Code::TerraformUnknownType,
                &place,
                message,
                "nothing, if it is no asset of the site",
            );
        }
        for (what, number) in self.idle {
            let message = format!("{what}: {number}; they make nothing, and are not read");
            declared.note(Code::TerraformIdle, &whole, message, "nothing");
        }
    }
}

/// `1 asset`, `2 assets`.
fn counted(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
