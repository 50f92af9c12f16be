//! In whose name and under which rules notes go out.

use std::collections::BTreeMap;

use domain::{Locale, MerchantId};
use jiff::tz::TimeZone;

use crate::decide::Limits;
use crate::quiet::QuietHours;
use crate::template::Templates;

/// What a merchant is called by its customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

impl Brand {
    /// In the customer's language.
    pub fn name(&self, locale: Locale) -> &str {
        match locale {
            Locale::Zh => &self.zh,
            Locale::En => &self.en,
        }
    }
}

/// How one merchant writes to its customers.
#[derive(Clone, Debug)]
pub struct House {
    /// Its name; the merchant's id where there is none.
    pub brand: Option<Brand>,
    /// The sender of e-mails, such as `Shop <orders@shop.example>`.
    pub from: Option<String>,
    /// The clock that hours and times are told by.
    pub zone: TimeZone,
    /// When nobody is disturbed.
    pub quiet: Option<QuietHours>,
}

/// All that decides what is written and when.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For merchants that have no settings of their own.
    pub usual: House,
    /// What is different, by merchant.
    pub merchants: BTreeMap<MerchantId, House>,
    /// How much a person gets.
    pub limits: Limits,
    /// Whether every payment gets a receipt, or only one that had to wait.
    pub receipts_always: bool,
    /// The texts.
    pub templates: Templates,
}

impl Settings {
    /// How a merchant writes.
    pub fn house(&self, merchant: &MerchantId) -> &House {
        self.merchants.get(merchant).unwrap_or(&self.usual)
    }

    /// What a merchant is called.
    pub fn brand<'a>(&'a self, merchant: &'a MerchantId, locale: Locale) -> &'a str {
        let brand = self.house(merchant).brand.as_ref().or(self.usual.brand.as_ref());
        brand.map_or(merchant.as_str(), |brand| brand.name(locale))
    }
}
