//! Stripe's form encoding: nested names in brackets.

use std::collections::BTreeMap;

use super::errors::Failure;

/// A decoded form, names kept in their bracketed form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(source: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(source)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self(pairs)
    }

    /// The same text for the same parameters, whatever order they came in.
    pub(crate) fn canonical(&self) -> String {
        let mut pairs = self.0.clone();
        pairs.sort();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish()
    }

    /// A value. The same name twice is refused, as it says two things.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, v)| v.as_str());
        let first = values.next();
        match values.next() {
            Some(_) => Err(Failure::parameter(name, "is given more than once")),
            None => Ok(first),
        }
    }

    /// A value that is there and not empty.
    pub(crate) fn some(&self, name: &str) -> Result<Option<&str>, Failure> {
        Ok(self.text(name)?.filter(|value| !value.is_empty()))
    }

    pub(crate) fn need(&self, name: &str) -> Result<&str, Failure> {
        self.some(name)?.ok_or_else(|| Failure::parameter_missing(name))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.some(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::integer(name, text))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Failure> {
        match self.some(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Failure::parameter(name, "must be true or false")),
        }
    }

    /// `name[key]=value` pairs.
    pub(crate) fn map(&self, name: &str) -> BTreeMap<String, String> {
        self.0
            .iter()
            .filter_map(|(full, value)| {
                let key = full.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
                (!key.is_empty() && !key.contains('[')).then(|| (key.to_owned(), value.clone()))
            })
            .collect()
    }

    /// `name[]=value` or `name[0]=value` items, in their order.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let mut items: Vec<(usize, &str)> = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(position, (full, value))| {
                let key = full.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
                let at = if key.is_empty() { position } else { key.parse().ok()? };
                Some((at, value.as_str()))
            })
            .collect();
        items.sort_by_key(|(at, _)| *at);
        items.into_iter().map(|(_, value)| value).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(full, _)| {
            full.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        })
    }

    /// Refuses parameters that the operation does not have.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        let stray = self.0.iter().map(|(full, _)| full.split('[').next().unwrap_or(full));
        match stray.into_iter().find(|name| !known.contains(name)) {
            Some(name) => Err(Failure::parameter_unknown(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_read() {
        let form = Form::parse(
            b"amount=5&metadata[order_id]=a%261&metadata[k]=&types[]=card&types[]=alipay&x[1]=b&x[0]=a",
        );
        assert_eq!(form.integer("amount").unwrap(), Some(5));
        assert_eq!(form.map("metadata")["order_id"], "a&1");
        assert_eq!(form.list("types"), ["card", "alipay"]);
        assert_eq!(form.list("x"), ["a", "b"]);
        assert!(form.has("metadata") && !form.has("meta"));
        assert!(form.only(&["amount", "metadata", "types", "x"]).is_ok());
        assert!(form.only(&["amount"]).is_err());
    }

    #[test]
    fn order_does_not_change_the_canonical_text() {
        let a = Form::parse(b"a=1&b=2");
        let b = Form::parse(b"b=2&a=1");
        assert_eq!(a.canonical(), b.canonical());
        assert_ne!(a.canonical(), Form::parse(b"a=1&b=3").canonical());
    }

    #[test]
    fn wrong_values_are_refused() {
        let form = Form::parse(b"amount=5.5&flag=yes&twice=1&twice=2");
        assert!(form.integer("amount").is_err());
        assert!(form.boolean("flag").is_err());
        assert!(form.text("twice").is_err());
    }
}
