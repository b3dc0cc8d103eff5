//! Where an issuer's keys live, as an operator writes it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;

use super::Findings;
use crate::http::Location;
use crate::keys::Keys;
use crate::outbound::Endpoint;
use crate::source::{Schedule, Source};

/// Where an issuer's keys are: one of three places, and how often to look there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct JwksConfig {
    inline: Option<JwkSet>,
    /// A JWK Set, and the cluster of Envoy's that leads there.
    url: Option<String>,
    cluster: Option<String>,
    discover: Option<DiscoverConfig>,
    /// Seconds from one fetch to the next.
    refresh: Option<u64>,
    /// Seconds for which the last good keys stay.
    keep: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

/// The issuer's metadata behind a cluster of Envoy's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct DiscoverConfig {
    cluster: String,
    /// Other origins on which its keys may live, and the cluster of each.
    #[serde(default)]
    origins: BTreeMap<String, String>,
}

/// Seconds between two fetches that can be asked for; what is usual.
const REFRESH: RangeInclusive<u64> = 10..=86_400;
const DEFAULT_REFRESH: u64 = 300;

/// The longest that last good keys can be kept, in seconds; what is usual.
const MOST_KEEP: u64 = 604_800;
const DEFAULT_KEEP: u64 = 86_400;

impl Findings {
    /// Where the keys live; nothing, after a finding.
    pub(super) fn source(&mut self, issuer_path: &str, issuer: &str, config: JwksConfig) -> Option<Source> {
        let path = format!("{issuer_path}.jwks");
        let JwksConfig { inline, url, cluster, discover, refresh, keep } = config;
        let schedule = match &inline {
            None => self.schedule(&path, refresh, keep),
            Some(_) => {
                for (field, _) in [("refresh", refresh), ("keep", keep)].iter().filter(|(_, found)| found.is_some()) {
                    let problem = "expected it beside `url` or `discover` alone, found it beside `inline`";
                    self.add(format!("{path}.{field}"), problem);
                }
                None
            }
        };
        match (&url, &cluster) {
            (Some(_), None) => {
                self.add(format!("{path}.cluster"), "expected the cluster of Envoy's that leads to `url`, found none");
            }
            (None, Some(_)) => self.add(format!("{path}.cluster"), "expected it beside `url` alone, found no `url`"),
            _ => {}
        }
        match (inline, url, discover) {
            (Some(inline), None, None) => {
                let (keys, unusable) = Keys::read(&inline.keys);
                for (key, problem) in unusable {
                    self.add(format!("{path}.inline.keys[{key}]"), problem);
                }
                Some(Source::inline(keys))
            }
            (None, Some(url), None) => {
                let endpoint = self.endpoint(&path, cluster?, &url);
                endpoint.zip(schedule).map(|(endpoint, schedule)| Source::url(endpoint, schedule))
            }
            (None, None, Some(config)) => {
                self.cluster(format!("{path}.discover.cluster"), &config.cluster);
                for (origin, cluster) in &config.origins {
                    self.cluster(format!("{path}.discover.origins.{origin}"), cluster);
                    if let Err(expected) = Location::read_origin(origin) {
                        self.add(format!("{path}.discover.origins.{origin}"), format!("{expected}, found `{origin}`"));
                    }
                }
                if let Err(expected) = Location::read_issuer(issuer) {
                    let problem = format!("{expected}, because `jwks.discover` looks there; found `{issuer}`");
                    self.add(format!("{issuer_path}.issuer"), problem);
                }
                Source::discover(issuer, &config.cluster, config.origins, schedule?).ok()
            }
            (inline, url, discover) => {
                let found =
                    [("`inline`", inline.is_some()), ("`url`", url.is_some()), ("`discover`", discover.is_some())];
                let found: Vec<&str> = found.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
                let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
                self.add(path, format!("expected one of `inline`, `url` and `discover`, found {found}"));
                None
            }
        }
    }

    fn schedule(&mut self, path: &str, refresh: Option<u64>, keep: Option<u64>) -> Option<Schedule> {
        let refresh = refresh.unwrap_or(DEFAULT_REFRESH);
        let keep = keep.unwrap_or(DEFAULT_KEEP.max(refresh));
        let (least, most) = (REFRESH.start(), REFRESH.end());
        if !REFRESH.contains(&refresh) {
            self.add(format!("{path}.refresh"), format!("expected {least} to {most} seconds, found {refresh}"));
            return None;
        }
        if !(refresh..=MOST_KEEP).contains(&keep) {
            let problem = format!("expected {refresh} (`refresh`) to {MOST_KEEP} seconds, found {keep}");
            self.add(format!("{path}.keep"), problem);
            return None;
        }
        Some(Schedule { refresh, keep })
    }

    /// What the gate asks itself: the fields `cluster` and `url` at a path.
    pub(super) fn endpoint(&mut self, path: &str, cluster: String, url: &str) -> Option<Endpoint> {
        self.cluster(format!("{path}.cluster"), &cluster);
        match Location::read(url) {
            Ok(location) => Some(Endpoint { cluster, location }),
            Err(expected) => {
                self.add(format!("{path}.url"), format!("{expected}, found `{url}`"));
                None
            }
        }
    }

    fn cluster(&mut self, path: String, cluster: &str) {
        if cluster.is_empty() {
            self.add(path, "expected the name of a cluster of Envoy's, found an empty string");
        }
    }
}
