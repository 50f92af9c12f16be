//! Stripe's test cards: which number and which token does what.

/// What a card does when it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Approve,
    /// `code` and `decline_code` of the card error.
    Decline {
        code: &'static str,
        decline_code: Option<&'static str>,
    },
    /// The holder has to authenticate first.
    Authenticate,
}

/// A card, as far as a merchant may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) brand: &'static str,
    pub(crate) last4: String,
    pub(crate) exp_month: u32,
    pub(crate) exp_year: u32,
    pub(crate) behaviour: Behaviour,
}

const fn declined(decline_code: &'static str) -> Behaviour {
    Behaviour::Decline { code: "card_declined", decline_code: Some(decline_code) }
}

const fn failed(code: &'static str) -> Behaviour {
    Behaviour::Decline { code, decline_code: None }
}

/// Number, token, brand, behaviour.
const CARDS: &[(&str, &str, &str, Behaviour)] = &[
    ("4242424242424242", "pm_card_visa", "visa", Behaviour::Approve),
    ("4000056655665556", "pm_card_visa_debit", "visa", Behaviour::Approve),
    ("5555555555554444", "pm_card_mastercard", "mastercard", Behaviour::Approve),
    ("378282246310005", "pm_card_amex", "amex", Behaviour::Approve),
    ("6200000000000005", "pm_card_unionpay", "unionpay", Behaviour::Approve),
    ("4000000000000002", "pm_card_visa_chargeDeclined", "visa", declined("generic_decline")),
    ("4000000000000002", "pm_card_chargeDeclined", "visa", declined("generic_decline")),
    (
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "visa",
        declined("insufficient_funds"),
    ),
    (
        "4000000000009995",
        "pm_card_chargeDeclinedInsufficientFunds",
        "visa",
        declined("insufficient_funds"),
    ),
    ("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "visa", declined("lost_card")),
    ("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "visa", declined("stolen_card")),
    ("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "visa", failed("expired_card")),
    ("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "visa", failed("incorrect_cvc")),
    (
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "visa",
        failed("processing_error"),
    ),
    ("4000000000000341", "pm_card_chargeCustomerFail", "visa", declined("generic_decline")),
    ("4000002500003155", "pm_card_authenticationRequired", "visa", Behaviour::Authenticate),
    ("4000002760003184", "pm_card_authenticationRequiredOnSetup", "visa", Behaviour::Authenticate),
];

impl Card {
    /// The test card of this number; any other number is "not a test card".
    pub(crate) fn from_number(number: &str, exp_month: u32, exp_year: u32) -> Option<Self> {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let row = CARDS.iter().find(|(known, ..)| *known == digits)?;
        Some(Self::from_row(row, exp_month, exp_year))
    }

    /// The test card of a `pm_card_…` or `tok_…` token.
    pub(crate) fn from_token(token: &str) -> Option<Self> {
        let name = token.strip_prefix("tok_").map(|rest| format!("pm_card_{rest}"));
        let name = name.as_deref().unwrap_or(token);
        let row = CARDS.iter().find(|(_, known, ..)| *known == name)?;
        Some(Self::from_row(row, 12, 2034))
    }

    fn from_row(
        (number, _, brand, behaviour): &(&'static str, &str, &'static str, Behaviour),
        exp_month: u32,
        exp_year: u32,
    ) -> Self {
        Self {
            brand,
            last4: number[number.len() - 4..].to_owned(),
            exp_month,
            exp_year,
            behaviour: *behaviour,
        }
    }
}
