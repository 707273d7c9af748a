//! A tenant: the wall, and the profile that Plannr calls a firm.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::{Error, FieldError},
    id::TenantId,
};

/// A message that was deleted on the server is kept this many days when the tenant does not say.
pub const DEFAULT_KEEP_DELETED_DAYS: i64 = 30;
/// A tenant's list of addresses has at most this many entries.
pub const MAX_IP_WHITELIST: usize = 500;

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// The tenant's id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Everything else about it.
    pub profile: Profile,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a tenant says of itself; the fields are those of Plannr's firm. Two are live settings: `ip_whitelist` and
/// `keep_deleted_files_for`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// A name for URLs.
    pub slug: Option<String>,
    /// A tax rate, in percent.
    pub tax: Option<f64>,
    /// A URL of the logo.
    pub logo: Option<String>,
    /// A URL of the small logo.
    pub logo_icon: Option<String>,
    /// First line of the address.
    pub address_1: Option<String>,
    /// Second line of the address.
    pub address_2: Option<String>,
    /// Town or city.
    pub town_city: Option<String>,
    /// County.
    pub county: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// Where invoices go.
    pub billing: Billing,
    /// Colours by the name of what they colour: the names of [`BRAND_COLOURS`].
    pub brand_colours: BTreeMap<String, Option<String>>,
    /// The day on which a month ends.
    pub month_end: Option<i64>,
    /// How often statements are made.
    pub statement_frequency: Option<String>,
    /// True when the tenant is subscribed.
    pub is_subscribed: Option<bool>,
    /// Text that a regulator wants shown.
    pub regulatory_text: Option<String>,
    /// Greeting of the portal.
    pub welcome_paragraph_html: Option<String>,
    /// Greeting of mail.
    pub email_welcome_paragraph_html: Option<String>,
    /// A setting of the portal.
    pub show_fact_find_illustrations: Option<bool>,
    /// Subscriptions beside the main one.
    pub addon_subscriptions: Vec<Value>,
    /// A board of tasks to start from.
    pub task_board_template: Option<Value>,
    /// When not empty, only these addresses and CIDR ranges may use the tenant's keys.
    pub ip_whitelist: Vec<String>,
    /// Days that a message deleted on the server is kept.
    pub keep_deleted_files_for: Option<i64>,
}

/// Where invoices go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Billing {
    /// Address for invoices by mail.
    pub invoice_email: Option<String>,
    /// First line of the address.
    pub invoice_address_1: Option<String>,
    /// Second line of the address.
    pub invoice_address_2: Option<String>,
    /// Town or city.
    pub invoice_town_city: Option<String>,
    /// County.
    pub invoice_county: Option<String>,
    /// Country.
    pub invoice_country: Option<String>,
    /// Postcode.
    pub invoice_postcode: Option<String>,
}

/// The names of the brand colours.
pub const BRAND_COLOURS: [&str; 32] = [
    "sidebar_text",
    "sidebar_hover",
    "email_sub_text",
    "sidebar_accent",
    "sidebar_active",
    "email_background",
    "email_button_text",
    "portal_background",
    "portal_brand_title",
    "sidebar_background",
    "portal_sidebar_icon",
    "portal_sidebar_text",
    "portal_account_email",
    "portal_sidebar_title",
    "sidebar_title_primary",
    "portal_brand_sub_title",
    "portal_sidebar_divider",
    "email_button_background",
    "portal_dashboard_bg_one",
    "portal_dashboard_bg_two",
    "sidebar_title_secondary",
    "sidebar_title_background",
    "portal_sidebar_icon_hover",
    "portal_sidebar_text_hover",
    "portal_sidebar_icon_active",
    "portal_sidebar_text_active",
    "email_logo_background_panel",
    "portal_sidebar_button_hover",
    "portal_sidebar_account_title",
    "portal_sidebar_button_active",
    "sidebar_title_secondary_hover",
    "portal_sidebar_button_background",
];

impl Profile {
    /// Merges a JSON merge patch (RFC 7396) into the profile and checks the result.
    pub fn merge(&self, patch: Value) -> Result<Self, Error> {
        let mut value = serde_json::to_value(self).map_err(Error::internal)?;
        merge_patch(&mut value, patch);
        let merged: Self = serde_json::from_value(value)
            .map_err(|error| Error::Malformed(format!("The body does not fit: {error}.")))?;
        merged.check()?;
        Ok(merged)
    }

    fn check(&self) -> Result<(), Error> {
        let mut errors = Vec::new();
        if self.ip_whitelist.len() > MAX_IP_WHITELIST {
            errors.push(FieldError::body(
                "ip_whitelist",
                format!("At most {MAX_IP_WHITELIST} entries."),
            ));
        }
        for (index, entry) in self.ip_whitelist.iter().enumerate() {
            if parse_network(entry).is_none() {
                let detail =
                    format!("`{entry}` is neither an IP address nor a CIDR range such as 192.0.2.0/24.");
                errors.push(FieldError::body(&format!("ip_whitelist.{index}"), detail));
            }
        }
        if self
            .keep_deleted_files_for
            .is_some_and(|days| !(0..=3650).contains(&days))
        {
            errors.push(FieldError::body(
                "keep_deleted_files_for",
                "Between 0 and 3650 days, or null for 30.",
            ));
        }
        if self.month_end.is_some_and(|day| !(1..=31).contains(&day)) {
            errors.push(FieldError::body("month_end", "A day of a month, 1 to 31."));
        }
        for name in self
            .brand_colours
            .keys()
            .filter(|name| !BRAND_COLOURS.contains(&name.as_str()))
        {
            errors.push(FieldError::body(
                &format!("brand_colours.{name}"),
                "There is no such colour.",
            ));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(errors))
        }
    }

    /// True when the tenant's keys may be used from this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ip_whitelist.is_empty()
            || self
                .ip_whitelist
                .iter()
                .filter_map(|entry| parse_network(entry))
                .any(|net| net.contains(&address))
    }

    /// Days that a message deleted on the server is kept.
    pub fn keep_deleted_days(&self) -> i64 {
        self.keep_deleted_files_for.unwrap_or(DEFAULT_KEEP_DELETED_DAYS)
    }
}

/// An address or a CIDR range.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// RFC 7396, section 2.
fn merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge_patch(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_null_clears() {
        let first = Profile::default()
            .merge(json!({"tax": 17.5, "billing": {"invoice_county": "Hampshire"}, "ip_whitelist": ["192.0.2.0/24"]}))
            .unwrap();
        let second = first
            .merge(json!({"tax": null, "billing": {"invoice_country": "UK"}}))
            .unwrap();
        assert_eq!(second.tax, None);
        assert_eq!(second.billing.invoice_county.as_deref(), Some("Hampshire"));
        assert_eq!(second.ip_whitelist, ["192.0.2.0/24"]);
        assert_eq!(
            second.merge(json!({"ip_whitelist": null})).unwrap().ip_whitelist,
            [""; 0]
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        for patch in [
            json!({"ip_whitelist": ["everywhere"]}),
            json!({"keep_deleted_files_for": -1}),
            json!({"month_end": 32}),
            json!({"brand_colours": {"nothing": "#fff"}}),
        ] {
            assert!(matches!(Profile::default().merge(patch), Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn the_whitelist_takes_addresses_ranges_and_mapped_addresses() {
        let profile = Profile::default()
            .merge(json!({"ip_whitelist": ["192.0.2.0/24", "2001:db8::1"]}))
            .unwrap();
        assert!(profile.allows("192.0.2.9".parse().unwrap()));
        assert!(profile.allows("::ffff:192.0.2.9".parse().unwrap()));
        assert!(profile.allows("2001:db8::1".parse().unwrap()));
        assert!(!profile.allows("198.51.100.1".parse().unwrap()));
        assert!(Profile::default().allows("198.51.100.1".parse().unwrap()));
    }
}
