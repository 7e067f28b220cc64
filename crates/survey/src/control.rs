//! What decides and acts: the store's members, keepers, and what a move calls beside the regions.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bascule_core::facts::{Control, ControlPlane, ControlPlaneKind, Fact, Keeper, Place, Voter};
use bascule_core::manifest::{Automatic, HttpUrl, Store};
use bascule_providers::keeper;

use crate::limit::{Provider, each};
use crate::{Scene, address, at, fact};

pub(crate) async fn control(scene: &Arc<Scene>) -> Control {
    let (keepers, stores) = tokio::join!(keepers(scene), stores(scene));
    Control { voters: voters(scene, &stores), keepers, planes: planes(scene, &stores), fence: fence(scene) }
}

/// What the tenure's length forces; whether commits really wait, each region's database says.
fn fence(scene: &Scene) -> Fact<Option<String>> {
    let timing = scene.site.manifest.automatic.as_ref().map(Automatic::timing);
    scene.said(timing.map(|timing| timing.to_string()))
}

/// The place of each of the store's endpoints.
async fn stores(scene: &Arc<Scene>) -> Vec<Result<Place, String>> {
    let endpoints = match &scene.site.manifest.store {
        Store::Sqlite { .. } => Vec::new(),
        Store::Etcd { endpoints, .. } => endpoints.clone(),
    };
    each(endpoints, |endpoint| {
        let scene = Arc::clone(scene);
        async move {
            let placing = address::place_of_server(&scene.site.manifest, &endpoint);
            scene.limits.by_the_end(placing).await
        }
    })
    .await
}

/// Each member of etcd has a vote; a file has one, where it is.
fn voters(scene: &Scene, places: &[Result<Place, String>]) -> Fact<Vec<Voter>> {
    let manifest = &scene.site.manifest;
    let voters = match &manifest.store {
        Store::Sqlite { path } => {
            let place = address::place_of_this_machine(manifest, manifest.names.update_server);
            let from = at(format!("the way to {}", manifest.names.update_server));
            vec![Voter { name: path.display().to_string(), place: fact(place, from) }]
        }
        Store::Etcd { endpoints, .. } => {
            let elsewhere = places.iter().filter(|place| matches!(place, Ok(Place::Elsewhere(_)))).count();
            let apart = |place: &Result<Place, String>| match place {
                Ok(Place::Elsewhere(at)) if elsewhere > 1 => Err(format!(
                    "nothing says whether {at} and the other voters outside both regions share a place"
                )),
                Ok(Place::Region(_) | Place::Elsewhere(_)) | Err(_) => place.clone(),
            };
            let voter = |(endpoint, place): (&HttpUrl, &Result<Place, String>)| Voter {
                name: endpoint.to_string(),
                place: fact(apart(place), scene.manifest()),
            };
            endpoints.iter().zip(places).map(voter).collect()
        }
    };
    scene.said(voters)
}

async fn keepers(scene: &Arc<Scene>) -> Fact<Vec<Keeper>> {
    let all: Vec<_> = scene
        .site
        .manifest
        .regions
        .iter()
        .flat_map(|(region, parts)| parts.keepers.iter().map(|keeper| (region.clone(), keeper.clone())))
        .collect();
    let seen = each(all, |(region, keeper)| {
        let scene = Arc::clone(scene);
        async move {
            let asking = keeper::version(&scene.site.http, keeper.address);
            let version = scene.limits.look(Provider::Keepers, asking).await;
            let from = at(format!("http://{}/status", keeper.address));
            Keeper { name: keeper.name.to_string(), region, version: fact(version, from) }
        }
    })
    .await;
    scene.said(seen)
}

fn planes(scene: &Scene, stores: &[Result<Place, String>]) -> Fact<Vec<ControlPlane>> {
    let manifest = &scene.site.manifest;
    let update: SocketAddr = manifest.names.update_server;
    let names = ControlPlane {
        kind: ControlPlaneKind::Names,
        name: update.to_string(),
        places: fact(address::place(manifest, update.ip()).map(|place| vec![place]), scene.manifest()),
    };
    let (name, places) = match &manifest.store {
        Store::Sqlite { path } => {
            let place = address::place_of_this_machine(manifest, update);
            (path.display().to_string(), place.map(|place| vec![place]))
        }
        Store::Etcd { endpoints, .. } => {
            (endpoints.iter().map(HttpUrl::to_string).collect::<Vec<_>>().join(", "), quorum(stores))
        }
    };
    let tenure =
        ControlPlane { kind: ControlPlaneKind::Tenure, name, places: fact(places, scene.manifest()) };
    scene.said(vec![names, tenure])
}

/// Where a quorum is: all its places if none of them is needed for a majority, else the one that is.
fn quorum(places: &[Result<Place, String>]) -> Result<Vec<Place>, String> {
    Ok(needed(&places.iter().cloned().collect::<Result<Vec<Place>, String>>()?))
}

fn needed(places: &[Place]) -> Vec<Place> {
    let majority = places.len() / 2 + 1;
    let distinct: BTreeSet<&Place> = places.iter().collect();
    for place in &distinct {
        let left = places.iter().filter(|other| other != place).count();
        if left < majority {
            return vec![(*place).clone()];
        }
    }
    distinct.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_where_a_majority_can_not_do_without() {
        let east = || Place::Region("us-east-2".parse().expect("a name"));
        let west = || Place::Region("us-west-1".parse().expect("a name"));
        let third = || Place::Elsewhere("10.77.3.6".to_owned());
        assert_eq!(needed(&[east(), west(), third()]).len(), 3);
        assert_eq!(needed(&[east(), east(), third()]), [east()]);
        assert_eq!(needed(&[east()]), [east()]);
        assert_eq!(needed(&[east(), west(), third(), east(), west()]).len(), 3);
    }
}
