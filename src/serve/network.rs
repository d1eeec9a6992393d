//! From which networks a token is used: one that comes from two at once may be in two hands.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time for which a network is remembered.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Networks of a token that are remembered at most.
const MOST: usize = 16;

/// The networks of the last hour, by the public name of the token.
#[derive(Debug, Default)]
pub(super) struct Networks(Mutex<HashMap<String, Vec<(IpAddr, Instant)>>>);

impl Networks {
    /// A token is used from an address: another network from which it was used within the hour, where this one is new.
    pub(super) fn seen(&self, token: &str, address: IpAddr, now: Instant) -> Option<IpAddr> {
        let mut all = self.0.lock().ok()?;
        let own = all.entry(token.to_owned()).or_default();
        own.retain(|(_, last)| now.duration_since(*last) < REMEMBERED);
        let network = network(address);
        if let Some((_, last)) = own.iter_mut().find(|(known, _)| *known == network) {
            *last = now;
            return None;
        }
        own.sort_by_key(|(_, last)| *last);
        let other = own.last().map(|(known, _)| *known);
        if own.len() >= MOST {
            own.remove(0);
        }
        own.push((network, now));
        other
    }

    /// Forgets tokens that are not used any more.
    pub(super) fn forget(&self, now: Instant) {
        if let Ok(mut all) = self.0.lock() {
            all.retain(|_, own| own.iter().any(|(_, last)| now.duration_since(*last) < REMEMBERED));
        }
    }
}

/// The network of an address: its first 24 bits of four bytes, 64 of sixteen.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => (address.to_bits() & !0xff).to_be_bytes().into(),
        IpAddr::V6(_) => host(address),
    }
}

/// Whoever may be behind an address, as limits count: one host has all of the last 64 bits of sixteen bytes.
pub(super) fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => (address.to_bits() & !u128::from(u64::MAX)).to_be_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_two_networks_is_noticed_once() {
        let (networks, begun) = (Networks::default(), Instant::now());
        let at = |token: &str, address: &str, minutes: u64| {
            let address: IpAddr = address.parse().expect("an address");
            let now = begun + Duration::from_secs(60 * minutes);
            networks.seen(token, address, now).map(|other| other.to_string())
        };
        assert_eq!(at("a", "10.1.2.3", 0), None);
        assert_eq!(at("a", "10.1.2.200", 1), None);
        assert_eq!(at("b", "10.9.9.9", 1), None);
        assert_eq!(at("a", "10.1.3.3", 2).as_deref(), Some("10.1.2.0"));
        assert_eq!((at("a", "10.1.2.3", 3), at("a", "10.1.3.3", 3)), (None, None));
        assert_eq!(at("a", "fd00::1", 4).as_deref(), Some("10.1.3.0"));
        // whoever moved is not in two places
        assert_eq!(at("b", "fd00:0:0:1::1", 62), None);
        assert_eq!(at("b", "fd00:0:0:1::2", 63), None);
        networks.forget(begun + Duration::from_secs(60 * 300));
        assert!(networks.0.lock().expect("networks").is_empty());
    }
}
