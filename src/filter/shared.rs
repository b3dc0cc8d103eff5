//! Envoy's shared data: what the workers of one proxy tell each other.

use std::time::SystemTime;

use jwt_simple::reexports::rand;
use proxy_wasm::hostcalls;

use super::property;
use crate::replay::{self, Replay, Spend};
use crate::token::seconds;

/// What another worker made of the configuration of a plugin of this name, whichever it was. There is one
/// place for each name, so that what is not needed any more makes room.
pub(super) fn accepted() -> Option<Vec<u8>> {
    hostcalls::get_shared_data(&accepted_name()).ok()?.0
}

/// Leaves what was made of a configuration for the others.
pub(super) fn share_accepted(accepted: &[u8]) {
    // Where there is no room each worker compiles.
    let _ = hostcalls::set_shared_data(&accepted_name(), Some(accepted), None);
}

fn accepted_name() -> String {
    format!("mcp_gate.accepted.{}", property(&["plugin_name"]).unwrap_or_default())
}

/// Writes what workers share, if nobody wrote since this number was read.
pub(super) fn write_shared(name: &str, value: &[u8], number: Option<u32>) -> bool {
    // Where there is nothing, any number will do; where there is something after all, this
    // one is none that Envoy gives. Without one it would write over what came in between.
    let number = number.unwrap_or(u32::MAX);
    hostcalls::set_shared_data(name, Some(value), Some(number)).is_ok()
}

/// A random key that all workers of this proxy share, made by the first of them.
pub(super) fn proxy_key() -> [u8; 32] {
    const NAME: &str = "mcp_gate.proxy_key";
    let own: [u8; 32] = rand::random();
    write_shared(NAME, &own, None);
    let shared = hostcalls::get_shared_data(NAME).ok().and_then(|(value, _)| value);
    shared.and_then(|value| value.try_into().ok()).unwrap_or(own)
}

/// Spends a proof in the store that all workers of this proxy share.
pub(super) fn spend(spend: &Spend, now: SystemTime) -> Result<(), Replay> {
    /// How often it is tried where other workers write, too.
    const TRIES: usize = 16;
    // The 2 is the encoding: a module that has another one must not read this.
    let shard = format!("mcp_gate.replay.2.{}", replay::shard_of(spend));
    for _ in 0..TRIES {
        let Ok((bytes, number)) = hostcalls::get_shared_data(&shard) else { break };
        // What is there and empty, the SDK gives as nothing with a number.
        let bytes = bytes.or(number.map(|_| Vec::new()));
        let next = replay::spend(bytes.as_deref(), spend, seconds(now))?;
        if write_shared(&shard, &next, number) {
            return Ok(());
        }
    }
    Err(Replay::Full)
}
