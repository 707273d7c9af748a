//! The parts of a tenant's profile that the unified tenant and Plannr's firm share.

use std::collections::BTreeMap;

use poem_openapi::{Object, types::MaybeUndefined};
use serde_json::Value;

use crate::model::tenant;

/// An object whose fields the tenant chooses.
pub type FreeObject = BTreeMap<String, Value>;

/// The fields of an object; anything else cannot have come in, and does not go out.
pub(super) fn object(value: Value) -> Option<FreeObject> {
    match value {
        Value::Object(fields) => Some(fields.into_iter().collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

/// Writes the answer and the change of the brand colours from one list of names.
macro_rules! brand_colours {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Colours for the tenant's own look, as CSS colours such as `#0E0E56`.
        #[derive(Debug, Clone, PartialEq, Eq, Object)]
        pub struct BrandColours {
            $($(#[$doc])* #[oai(nullable)] pub $name: Option<String>,)*
        }

        impl From<BTreeMap<String, Option<String>>> for BrandColours {
            fn from(mut colours: BTreeMap<String, Option<String>>) -> Self {
                Self { $($name: colours.remove(stringify!($name)).flatten(),)* }
            }
        }

        /// Colours to change: left out is unchanged, null clears.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
        #[oai(deny_unknown_fields)]
        pub struct UpdateBrandColours {
            $($(#[$doc])* #[oai(nullable, validator(max_length = 64))] pub $name: MaybeUndefined<String>,)*
        }
    };
}

brand_colours! {
    /// Colour in the sidebar: text.
    sidebar_text,
    /// Colour in the sidebar: hover.
    sidebar_hover,
    /// Colour in mail: sub text.
    email_sub_text,
    /// Colour in the sidebar: accent.
    sidebar_accent,
    /// Colour in the sidebar: active.
    sidebar_active,
    /// Colour in mail: background.
    email_background,
    /// Colour in mail: button text.
    email_button_text,
    /// Colour in the portal: background.
    portal_background,
    /// Colour in the portal: brand title.
    portal_brand_title,
    /// Colour in the sidebar: background.
    sidebar_background,
    /// Colour in the portal: sidebar icon.
    portal_sidebar_icon,
    /// Colour in the portal: sidebar text.
    portal_sidebar_text,
    /// Colour in the portal: account email.
    portal_account_email,
    /// Colour in the portal: sidebar title.
    portal_sidebar_title,
    /// Colour in the sidebar: title primary.
    sidebar_title_primary,
    /// Colour in the portal: brand sub title.
    portal_brand_sub_title,
    /// Colour in the portal: sidebar divider.
    portal_sidebar_divider,
    /// Colour in mail: button background.
    email_button_background,
    /// Colour in the portal: dashboard background one.
    portal_dashboard_bg_one,
    /// Colour in the portal: dashboard background two.
    portal_dashboard_bg_two,
    /// Colour in the sidebar: title secondary.
    sidebar_title_secondary,
    /// Colour in the sidebar: title background.
    sidebar_title_background,
    /// Colour in the portal: sidebar icon hover.
    portal_sidebar_icon_hover,
    /// Colour in the portal: sidebar text hover.
    portal_sidebar_text_hover,
    /// Colour in the portal: sidebar icon active.
    portal_sidebar_icon_active,
    /// Colour in the portal: sidebar text active.
    portal_sidebar_text_active,
    /// Colour in mail: logo background panel.
    email_logo_background_panel,
    /// Colour in the portal: sidebar button hover.
    portal_sidebar_button_hover,
    /// Colour in the portal: sidebar account title.
    portal_sidebar_account_title,
    /// Colour in the portal: sidebar button active.
    portal_sidebar_button_active,
    /// Colour in the sidebar: title secondary hover.
    sidebar_title_secondary_hover,
    /// Colour in the portal: sidebar button background.
    portal_sidebar_button_background,
}

/// Where invoices go.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct Billing {
    /// Address for invoices by mail.
    #[oai(nullable)]
    pub invoice_email: Option<String>,
    /// First line of the address.
    #[oai(nullable)]
    pub invoice_address_1: Option<String>,
    /// Second line of the address.
    #[oai(nullable)]
    pub invoice_address_2: Option<String>,
    /// Town or city.
    #[oai(nullable)]
    pub invoice_town_city: Option<String>,
    /// County.
    #[oai(nullable)]
    pub invoice_county: Option<String>,
    /// Country.
    #[oai(nullable)]
    pub invoice_country: Option<String>,
    /// Postcode.
    #[oai(nullable)]
    pub invoice_postcode: Option<String>,
}

impl From<tenant::Billing> for Billing {
    fn from(billing: tenant::Billing) -> Self {
        let tenant::Billing {
            invoice_email,
            invoice_address_1,
            invoice_address_2,
            invoice_town_city,
            invoice_county,
            invoice_country,
            invoice_postcode,
        } = billing;
        Self {
            invoice_email,
            invoice_address_1,
            invoice_address_2,
            invoice_town_city,
            invoice_county,
            invoice_country,
            invoice_postcode,
        }
    }
}

/// Where invoices go from now on: left out is unchanged, null clears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Object)]
#[oai(deny_unknown_fields)]
pub struct UpdateBilling {
    /// Address for invoices by mail.
    #[oai(nullable, validator(max_length = 320))]
    pub invoice_email: MaybeUndefined<String>,
    /// First line of the address.
    #[oai(nullable, validator(max_length = 200))]
    pub invoice_address_1: MaybeUndefined<String>,
    /// Second line of the address.
    #[oai(nullable, validator(max_length = 200))]
    pub invoice_address_2: MaybeUndefined<String>,
    /// Town or city.
    #[oai(nullable, validator(max_length = 200))]
    pub invoice_town_city: MaybeUndefined<String>,
    /// County.
    #[oai(nullable, validator(max_length = 200))]
    pub invoice_county: MaybeUndefined<String>,
    /// Country.
    #[oai(nullable, validator(max_length = 200))]
    pub invoice_country: MaybeUndefined<String>,
    /// Postcode.
    #[oai(nullable, validator(max_length = 40))]
    pub invoice_postcode: MaybeUndefined<String>,
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn every_brand_colour_has_its_field_and_its_value() {
        let colours = tenant::BRAND_COLOURS
            .into_iter()
            .map(|name| (name.to_owned(), Some(format!("#{name}"))));
        let json = BrandColours::from(colours.collect::<BTreeMap<_, _>>())
            .to_json()
            .unwrap();
        let fields = json.as_object().unwrap();
        assert_eq!(fields.len(), tenant::BRAND_COLOURS.len());
        for name in tenant::BRAND_COLOURS {
            assert_eq!(fields[name], format!("#{name}"));
        }
    }
}
