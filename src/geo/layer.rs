//! One layer's GeoJSON text as features with typed properties and valid geometry.
//!
//! Owns: reading one layer and judging its geometry. Refuses to know: other layers, the tree, ranking.
//!
//! Invariants
//! 1. A feature that comes out has a code, a level, a name and a valid, non-empty MultiPolygon in degrees.
//! 2. All features are read; every wrong one is reported, with its code or its number.
//!
//! Called by: `build`.

use super::area::{Area, AreaError, AreaProblem, LayerInput, date_at_midnight};
use crate::time::Timestamp;
use ::geo::{Coord, CoordsIter, MultiPolygon, Validation};
use geojson::{FeatureCollection, JsonObject, JsonValue};

/// A feature: the area as this layer tells it, and its shape.
pub(super) struct Feature {
    pub area: Area,
    pub shape: MultiPolygon<f64>,
}

/// Reads layer number `number`; what is wrong goes to `errors`, what is right comes back in file order.
pub(super) fn decode_layer(number: u16, input: &LayerInput, errors: &mut Vec<AreaError>) -> Vec<Feature> {
    let collection: FeatureCollection = match serde_json::from_str(input.geojson_text.trim_start_matches('\u{feff}')) {
        Ok(collection) => collection,
        Err(e) => {
            let mut error = AreaError::new(&input.file, None, AreaProblem::NotGeoJson(e.to_string()));
            if e.line() > 0 {
                (error.line, error.column) = (Some(e.line() as u32), Some(e.column() as u32));
            }
            errors.push(error);
            return Vec::new();
        }
    };
    let mut features = Vec::new();
    for (n, feature) in collection.features.into_iter().enumerate() {
        let empty = JsonObject::new();
        let properties = feature.properties.as_ref().unwrap_or(&empty);
        let own_id = feature.id.as_ref().map(|id| match id {
            geojson::feature::Id::String(s) => s.clone(),
            geojson::feature::Id::Number(n) => n.to_string(),
        });
        let code = match decode_code(properties, own_id) {
            Ok(code) => code,
            Err(problem) => {
                errors.push(AreaError::new(&input.file, Some(&format!("feature {}", n + 1)), problem));
                continue;
            }
        };
        let area = decode_area(number, input, properties, code.clone());
        let shape = decode_shape(feature.geometry);
        match (area, shape) {
            (Ok(area), Ok(shape)) => features.push(Feature { area, shape }),
            (area, shape) => {
                let problems = [area.err(), shape.err()];
                errors.extend(problems.into_iter().flatten().map(|p| AreaError::new(&input.file, Some(&code), p)));
            }
        }
    }
    features
}

fn decode_code(properties: &JsonObject, own_id: Option<String>) -> Result<String, AreaProblem> {
    for name in ["code", "id"] {
        if let Some(code) = text(properties, name)? {
            return Ok(code);
        }
    }
    own_id.filter(|id| !id.is_empty()).ok_or(AreaProblem::NoCode)
}

fn decode_area(number: u16, input: &LayerInput, properties: &JsonObject, code: String) -> Result<Area, AreaProblem> {
    let area = Area {
        level: text(properties, "level")?.or_else(|| input.level.clone()).unwrap_or_else(|| "area".to_string()),
        name: text(properties, "name")?.unwrap_or_else(|| code.clone()),
        alt_name: text(properties, "alt_name")?,
        parent: text(properties, "parent")?,
        valid_from: date(properties, "valid_from")?,
        valid_to: date(properties, "valid_to")?,
        layer: Some(number),
        code,
    };
    if area.ends() <= area.starts() {
        return Err(AreaProblem::EmptyTime);
    }
    Ok(area)
}

/// A property as text; null and empty text count as not there.
fn text(properties: &JsonObject, name: &'static str) -> Result<Option<String>, AreaProblem> {
    match properties.get(name) {
        None | Some(JsonValue::Null) => Ok(None),
        Some(JsonValue::String(s)) => Ok(Some(s.trim().to_string()).filter(|s| !s.is_empty())),
        Some(other) => Err(AreaProblem::NotText(name, other.to_string())),
    }
}

fn date(properties: &JsonObject, name: &'static str) -> Result<Option<Timestamp>, AreaProblem> {
    let Some(text) = text(properties, name)? else { return Ok(None) };
    date_at_midnight(&text).map(Some).ok_or(AreaProblem::BadDate(name, text))
}

fn decode_shape(geometry: Option<geojson::Geometry>) -> Result<MultiPolygon<f64>, AreaProblem> {
    let geometry = geometry.ok_or_else(|| AreaProblem::NotPolygon("missing".to_string()))?;
    let kind = geometry.value.type_name().to_string();
    let shape = match ::geo::Geometry::<f64>::try_from(geometry) {
        Ok(::geo::Geometry::Polygon(polygon)) => MultiPolygon(vec![polygon]),
        Ok(::geo::Geometry::MultiPolygon(shape)) => shape,
        Ok(_) => return Err(AreaProblem::NotPolygon(kind)),
        Err(e) => return Err(AreaProblem::InvalidGeometry(e.to_string())),
    };
    let in_range = |c: &Coord<f64>| c.x.abs() <= 180.0 && c.y.abs() <= 90.0;
    if let Some(c) = shape.coords_iter().find(|c| !in_range(c)) {
        return Err(AreaProblem::OutOfRange(c.x, c.y));
    }
    if shape.iter().all(|p| p.exterior().0.is_empty()) {
        return Err(AreaProblem::InvalidGeometry("it has no positions".to_string()));
    }
    shape.check_validation().map_err(|e| AreaProblem::InvalidGeometry(e.to_string()))?;
    Ok(shape)
}
