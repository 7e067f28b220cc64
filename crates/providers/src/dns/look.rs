//! Whether the server of the zone takes changes from us.

use bascule_core::ports::PortError;
use hickory_proto::op::ResponseCode;

use super::client::DnsNames;
use super::map;
use crate::Trial;

impl DnsNames {
    /// Whether updates are taken that our key signs: an update of nothing (RFC 2136, section 2: both its sections may
    /// be empty; section 3.3: who asks is looked at first).
    ///
    /// # Errors
    /// Why that could not be tried.
    pub async fn may_update(&self) -> Result<Trial, String> {
        let code = self.update(map::no_change(self.zone().clone())).await;
        let code = code.map_err(|error| match error {
            PortError::Refused(why) | PortError::Unknown(why) => why,
        })?;
        match code {
            ResponseCode::NoError => Ok(Trial::Granted),
            // RFC 8945, section 5.2: an unknown key, and a signature that does not fit, are NOTAUTH
            ResponseCode::Refused | ResponseCode::NotAuth => {
                Ok(Trial::Refused { why: format!("the server of the zone answers {code}") })
            }
            other => Err(format!("the server of the zone answers {other} to an update of nothing")),
        }
    }
}
