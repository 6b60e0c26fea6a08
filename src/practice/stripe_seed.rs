//! The Stripe account of a new state folder: for each prepared customer a subscription and its last two invoices.
//! Who is suspended for payment and has paid since, and who owes still, is decided here.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::answer::Problem;
use super::stripe::{self, Kind, seconds};
use super::tenants::{BillingCycle, Plan, Tenant};
use crate::clock::Timestamp;

/// The newest invoices of all: 2025-10-03, a month before the suspensions, and 2025-09-03.
const PERIODS: [Timestamp; 2] =
    [Timestamp::from_millis(1_756_890_000_000), Timestamp::from_millis(1_759_482_000_000)];
const DAY_MS: u64 = 86_400_000;
/// The one who has paid a part: an invoice of his is paid, and he owes nevertheless.
const OWES: &str = "vandelay-8";

pub(crate) fn plant(db: &Connection, tenant: &Tenant) -> Result<(), Problem> {
    let Some(customer) = tenant.stripe_customer_id.as_deref() else { return Ok(()) };
    let name = customer.trim_start_matches("cus_");
    let owes = tenant.id == OWES;
    let price = price(tenant.plan, tenant.billing_cycle);
    let interval = match tenant.billing_cycle {
        BillingCycle::Monthly => "month",
        BillingCycle::Yearly => "year",
    };
    let subscription = format!("sub_{name}");
    stripe::insert(db, Kind::Customer, &self::customer(tenant, customer, owes))?;
    let last = format!("in_{name}2");
    let plan = json!({
        "object": "price",
        "id": format!("price_{}_{interval}", json!(tenant.plan).as_str().unwrap_or("plan")),
        "currency": "eur",
        "recurring": {"interval": interval, "interval_count": 1},
        "unit_amount": price,
    });
    let item =
        json!({"id": format!("si_{name}"), "object": "subscription_item", "price": plan, "quantity": 1});
    let subscribed = json!({
        "id": subscription,
        "object": "subscription",
        "cancel_at_period_end": false,
        "collection_method": "charge_automatically",
        "created": seconds(tenant.created_at),
        "currency": "eur",
        "customer": customer,
        "items": {"object": "list", "data": [item], "has_more": false},
        "latest_invoice": last,
        "livemode": false,
        "metadata": {},
        "status": if owes { "past_due" } else { "active" },
    });
    stripe::insert(db, Kind::Subscription, &subscribed)?;
    for (number, at) in (1..).zip(PERIODS) {
        let open = owes && number == 2;
        // Whoever is suspended for payment and owes nothing has paid two days later.
        let paid = tenant.suspended_at.filter(|_| number == 2).map_or(at, |since| since.plus(2 * DAY_MS));
        let invoice = json!({
            "id": format!("in_{name}{number}"),
            "object": "invoice",
            "amount_due": price,
            "amount_paid": if open { 0 } else { price },
            "amount_remaining": if open { price } else { 0 },
            "billing_reason": "subscription_cycle",
            "collection_method": "charge_automatically",
            "created": seconds(at),
            "currency": "eur",
            "customer": customer,
            "customer_email": tenant.email,
            "livemode": false,
            "number": format!("{}-{number:04}", name.to_uppercase()),
            "status": if open { "open" } else { "paid" },
            "status_transitions": {
                "finalized_at": seconds(at),
                "paid_at": if open { Value::Null } else { json!(seconds(paid)) },
            },
            "subscription": subscription,
            "total": price,
        });
        stripe::insert(db, Kind::Invoice, &invoice)?;
    }
    Ok(())
}

fn customer(tenant: &Tenant, id: &str, owes: bool) -> Value {
    json!({
        "id": id,
        "object": "customer",
        "created": seconds(tenant.created_at),
        "currency": "eur",
        "delinquent": owes,
        "email": tenant.email,
        "livemode": false,
        "metadata": {"tenantId": tenant.id},
        "name": tenant.name,
        "preferred_locales": [],
    })
}

/// In cents; a year costs ten months.
fn price(plan: Plan, cycle: BillingCycle) -> i64 {
    let month = match plan {
        Plan::Basic => 2_900,
        Plan::Standard => 7_900,
        Plan::Premium => 19_900,
    };
    match cycle {
        BillingCycle::Monthly => month,
        BillingCycle::Yearly => month * 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_the_comment_names() {
        let written = PERIODS.map(|at| at.to_string());
        assert_eq!(written, ["2025-09-03T09:00:00.000Z", "2025-10-03T09:00:00.000Z"]);
    }
}
