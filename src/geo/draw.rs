//! Areas as GeoJSON for maps.
//!
//! Owns: which polygons a map shows and their text. Refuses to know: who looks (the caller's predicate says what they may see), colours, projections.
//!
//! Invariants
//! 1. Areas are those in force of the deepest level that has any, each drawn from the finest layer that has it, in id order.
//! 2. The same index and instant give the same bytes.
//!
//! Called by: `server` (the map's polygons).

use super::area::AreaId;
use super::index::AreaIndex;
use crate::time::Timestamp;
use geojson::{Feature, FeatureCollection, Geometry, JsonObject, JsonValue, feature::Id};

impl AreaIndex {
    /// A FeatureCollection (RFC 7946). `id` is the code; properties: `code`, `level`, `name`, `alt_name`, `parent` (codes), `groups` (codes of groups in force).
    pub fn feature_collection(&self, at: Timestamp, see: impl Fn(AreaId) -> bool) -> String {
        let in_force = || self.iter().filter(move |(_, area)| !area.is_group() && area.in_force(at)).map(|(id, _)| id);
        let deepest = in_force().map(|id| self.depth(id)).max();
        let ids = in_force().filter(|id| Some(self.depth(*id)) == deepest && see(*id));
        let features = ids.map(|id| self.feature(id, at)).collect();
        FeatureCollection { bbox: None, features, foreign_members: None }.to_string()
    }

    fn feature(&self, id: AreaId, at: Timestamp) -> Feature {
        let area = self.area(id);
        let mut properties = JsonObject::new();
        let mut put = |name: &str, value: Option<&String>| {
            if let Some(value) = value {
                properties.insert(name.to_string(), JsonValue::from(value.as_str()));
            }
        };
        put("code", Some(&area.code));
        put("level", Some(&area.level));
        put("name", Some(&area.name));
        put("alt_name", area.alt_name.as_ref());
        put("parent", area.parent.as_ref());
        let groups: Vec<JsonValue> = self.groups_of(id, at).map(|g| JsonValue::from(self.area(g).code.as_str())).collect();
        properties.insert("groups".to_string(), JsonValue::from(groups));
        Feature {
            bbox: None,
            geometry: self.geometry(id).map(Geometry::from),
            id: Some(Id::String(area.code.clone())),
            properties: Some(properties),
            foreign_members: None,
        }
    }
}
