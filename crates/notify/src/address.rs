//! Who gets a note: an e-mail address, a telephone number or a device, told apart strictly,
//! because what is neither cannot be reached and must not be guessed at.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::MerchantId;

/// By which way a note goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// E-mail, by SMTP.
    Email,
    /// A text message, by the operator's webhook.
    Sms,
    /// A message to an app, by the operator's webhook.
    Push,
}

impl Way {
    /// Every way.
    pub const ALL: [Way; 3] = [Way::Email, Way::Sms, Way::Push];

    /// The name that configuration, API and store use.
    pub fn name(self) -> &'static str {
        match self {
            Way::Email => "email",
            Way::Sms => "sms",
            Way::Push => "push",
        }
    }
}

impl FromStr for Way {
    type Err = ();
    fn from_str(text: &str) -> Result<Way, ()> {
        Way::ALL.into_iter().find(|way| way.name() == text).ok_or(())
    }
}

/// Where a customer can be reached. Personal data: it does not print itself (rule 13).
#[derive(Clone, PartialEq, Eq)]
pub enum Contact {
    /// An e-mail address, its domain in lower case.
    Email(String),
    /// A telephone number: `+` and 8 to 15 digits (ITU-T E.164).
    Phone(String),
    /// A device, by the name that the app's push service knows it under.
    Device(String),
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({})", self.way().name())
    }
}

impl Contact {
    /// Reads an e-mail address or telephone number. `None` for anything else: such a customer
    /// cannot be reached.
    pub fn parse(text: &str) -> Option<Contact> {
        let text = text.trim();
        if text.contains('@') { email(text) } else { phone(text) }
    }

    /// A device of a customer.
    pub fn device(token: &str) -> Contact {
        Contact::Device(token.to_owned())
    }

    /// What a note's row says; `None` when it fits the way no more.
    pub fn of_row(way: Way, text: &str) -> Option<Contact> {
        match way {
            Way::Email => email(text),
            Way::Sms => phone(text),
            Way::Push => Some(Contact::device(text)),
        }
    }

    /// The way that leads there.
    pub fn way(&self) -> Way {
        match self {
            Contact::Email(_) => Way::Email,
            Contact::Phone(_) => Way::Sms,
            Contact::Device(_) => Way::Push,
        }
    }

    /// As the way needs it.
    pub fn expose(&self) -> &str {
        match self {
            Contact::Email(text) | Contact::Phone(text) | Contact::Device(text) => text,
        }
    }

    /// Enough of it for a person who knows it to recognise it, such as `l***@example.com` or
    /// `+86 138****1234`.
    pub fn masked(&self) -> String {
        match self {
            Contact::Email(text) => {
                let (local, domain) = text.split_once('@').unwrap_or((text, ""));
                format!("{}***@{domain}", local.chars().next().unwrap_or('*'))
            }
            Contact::Phone(text) => match text.strip_prefix("+86").filter(|n| n.len() == 11) {
                Some(number) => format!("{}****{}", &number[..3], &number[7..]),
                None => format!("{}****{}", &text[..3], &text[text.len() - 2..]),
            },
            Contact::Device(text) => {
                format!("{}***", text.chars().take(4).collect::<String>())
            }
        }
    }
}

/// An address of ASCII signs: a local part of dot-separated atoms (RFC 5322, section 3.2.3)
/// and a domain of at least two labels. Quoted and internationalised ones are left out.
fn email(text: &str) -> Option<Contact> {
    let (local, domain) = text.split_once('@')?;
    let atom = |part: &str| {
        let sign = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        !part.is_empty() && part.bytes().all(sign)
    };
    let label = |part: &str| {
        let sign = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&part.len())
            && part.bytes().all(sign)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let good = local.len() <= 64
        && text.len() <= 254
        && local.split('.').all(atom)
        && domain.contains('.')
        && domain.split('.').all(label)
        && !domain.rsplit('.').next()?.bytes().all(|b| b.is_ascii_digit());
    good.then(|| Contact::Email(format!("{local}@{}", domain.to_ascii_lowercase())))
}

/// An international number, or one of a mobile phone of mainland China without its `+86`.
fn phone(text: &str) -> Option<Contact> {
    let is_space = |c: char| matches!(c, ' ' | '-' | '(' | ')' | '\u{a0}');
    let plain: String = text.chars().filter(|c| !is_space(*c)).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mainland = |n: &str| n.len() == 11 && n.starts_with('1') && n.as_bytes()[1] >= b'3';
    match plain.starts_with('+') {
        true if (8..=15).contains(&digits.len()) && !digits.starts_with('0') => {
            Some(Contact::Phone(plain))
        }
        false if mainland(digits) => Some(Contact::Phone(format!("+86{digits}"))),
        _ => None,
    }
}

/// Who gets a note of a merchant, as a digest under `key`: the same for every payment of the
/// person, and nothing can be read back from it, so that it may stand in a link.
pub fn addressee(key: &[u8], merchant: &MerchantId, contact: &Contact) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let who = contact.expose().to_lowercase();
    let text = format!("{merchant}\n{}\n{who}", contact.way().name());
    URL_SAFE_NO_PAD.encode(&hmac::sign(&key, text.as_bytes()).as_ref()[..18])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_told_apart_strictly() {
        for (text, contact, masked) in [
            ("li@Example.com", "li@example.com", "l***@example.com"),
            (
                " wang.wu+shop@mail.example.cn ",
                "wang.wu+shop@mail.example.cn",
                "w***@mail.example.cn",
            ),
            ("13800001234", "+8613800001234", "138****1234"),
            ("+86 138-0000-1234", "+8613800001234", "138****1234"),
            ("+44 (20) 7946 0018", "+442079460018", "+44****18"),
        ] {
            let read = Contact::parse(text).unwrap();
            assert_eq!((read.expose(), read.masked().as_str()), (contact, masked));
            assert_eq!(Contact::of_row(read.way(), read.expose()), Some(read.clone()));
            assert!(!format!("{read:?}").contains(contact), "contacts do not print themselves");
        }
        for text in [
            "",
            "li",
            "@example.com",
            "li@",
            "li@host",
            "li@10.0.0.1",
            "a@b@c.com",
            "li@-x.com",
            "li@example..com",
            ".li@example.com",
            "li@exa mple.com",
            "li@example.com\r\nBcc: x@y.zz",
            "李@example.com",
            "\"a b\"@example.com",
            "12345",
            "8613800001234",
            "+0123456789",
            "+1234567",
            "12800001234",
            "138000012345",
            "１３８００００１２３４",
            "tel:13800001234",
            "li@example.com, wang@example.com",
        ] {
            assert_eq!(Contact::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_addressee_is_one_person_of_one_merchant() {
        let merchant = |name| MerchantId::new(name).unwrap();
        let who = |key: &[u8], shop, text| {
            addressee(key, &merchant(shop), &Contact::parse(text).unwrap())
        };
        let li = who(b"k", "shop", "li@example.com");
        assert_eq!(li, who(b"k", "shop", "LI@example.com"));
        assert_eq!(li.len(), 24);
        assert!(li.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        for other in [
            who(b"other", "shop", "li@example.com"),
            who(b"k", "other", "li@example.com"),
            who(b"k", "shop", "wang@example.com"),
        ] {
            assert_ne!(li, other);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_contact_panics_or_reaches_a_second_line(text: String) {
            if let Some(contact) = Contact::parse(&text) {
                proptest::prop_assert!(!contact.expose().contains(['\r', '\n', ' ', '<', ',']));
                let _ = contact.masked();
            }
        }
    }
}
