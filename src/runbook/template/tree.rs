//! Structures whose texts are templates: rendered piece by piece, never as text that is read again.

use serde_json::Value;

use super::{RenderError, Rendered, Scope, Template, Tree};

impl<S> Tree<S> {
    pub fn from_value(value: &Value) -> Self
    where
        S: From<String>,
    {
        match value {
            Value::Null => Self::Null,
            Value::Bool(yes) => Self::Bool(*yes),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(S::from(text.clone())),
            Value::Array(list) => Self::List(list.iter().map(Self::from_value).collect()),
            Value::Object(map) => {
                Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from_value(v))).collect())
            }
        }
    }

    /// Every text in the structure.
    pub fn texts<'a>(&'a self, out: &mut Vec<&'a S>) {
        match self {
            Self::Text(text) => out.push(text),
            Self::List(list) => list.iter().for_each(|tree| tree.texts(out)),
            Self::Map(map) => map.iter().for_each(|(_, tree)| tree.texts(out)),
            Self::Null | Self::Bool(_) | Self::Number(_) => {}
        }
    }
}

impl Tree<Template> {
    /// # Errors
    /// As [`Template::render`].
    pub fn render(&self, scope: &dyn Scope) -> Result<Tree<Rendered>, RenderError> {
        Ok(match self {
            Self::Null => Tree::Null,
            Self::Bool(yes) => Tree::Bool(*yes),
            Self::Number(number) => Tree::Number(number.clone()),
            Self::Text(template) => template.render_tree(scope)?,
            Self::List(list) => Tree::List(list.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?),
            Self::Map(map) => Tree::Map(
                map.iter()
                    .map(|(k, t)| Ok((k.clone(), t.render(scope)?)))
                    .collect::<Result<_, RenderError>>()?,
            ),
        })
    }
}
