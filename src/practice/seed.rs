//! What a new state folder starts with: five customers with a history, their users, their jobs and their invoices.
//! Two are suspended for payment: Initech has paid since, Vandelay has paid one invoice and owes another.
//! Fixed ids and times, so that shipped runbooks and their inputs can name them.

use rusqlite::{Connection, Error, params};
use serde_json::json;

use super::answer::Problem;
use super::tenants::{self, BillingCycle, Plan, Status, Tenant};
use super::users::{self, Role};
use super::{api_keys, audit, stripe_seed};
use crate::clock::Timestamp;

const JOBS: [&str; 3] = ["daily-attendance-report", "leave-reminders", "payroll-export"];

struct Customer {
    id: &'static str,
    name: &'static str,
    domain: &'static str,
    plan: Plan,
    billing_cycle: BillingCycle,
    suspended: Option<(&'static str, Timestamp)>,
    stripe_customer_id: &'static str,
    created_at: Timestamp,
    api_calls: i64,
}

/// Times in milliseconds since 1970: 2024-01-15, 2024-03-04, 2024-06-10, 2025-02-03 and 2025-11-03, 09:00 UTC.
const CUSTOMERS: [Customer; 5] = [
    Customer {
        id: "acme-42",
        name: "Acme Logistics",
        domain: "acme.example",
        plan: Plan::Premium,
        billing_cycle: BillingCycle::Monthly,
        suspended: None,
        stripe_customer_id: "cus_P8acmeLogist42",
        created_at: Timestamp::from_millis(1_705_309_200_000),
        api_calls: 18_240,
    },
    Customer {
        id: "globex-7",
        name: "Globex Manufacturing",
        domain: "globex.example",
        plan: Plan::Standard,
        billing_cycle: BillingCycle::Yearly,
        suspended: None,
        stripe_customer_id: "cus_P8globexManuf7",
        created_at: Timestamp::from_millis(1_709_542_800_000),
        api_calls: 5_310,
    },
    Customer {
        id: "initech-3",
        name: "Initech Conseil",
        domain: "initech.example",
        plan: Plan::Basic,
        billing_cycle: BillingCycle::Monthly,
        suspended: Some(("Payment overdue", Timestamp::from_millis(1_762_160_400_000))),
        stripe_customer_id: "cus_P8initechCons3",
        created_at: Timestamp::from_millis(1_718_010_000_000),
        api_calls: 412,
    },
    Customer {
        id: "hooli-19",
        name: "Hooli Events",
        domain: "hooli.example",
        plan: Plan::Basic,
        billing_cycle: BillingCycle::Yearly,
        suspended: None,
        stripe_customer_id: "cus_P8hooliEvents1",
        created_at: Timestamp::from_millis(1_738_573_200_000),
        api_calls: 968,
    },
    Customer {
        id: "vandelay-8",
        name: "Vandelay Imports",
        domain: "vandelay.example",
        plan: Plan::Standard,
        billing_cycle: BillingCycle::Monthly,
        suspended: Some(("Payment overdue", Timestamp::from_millis(1_762_160_400_000))),
        stripe_customer_id: "cus_P8vandelayImp8",
        created_at: Timestamp::from_millis(1_738_573_200_000),
        api_calls: 77,
    },
];

pub(crate) fn plant(db: &Connection) -> Result<(), Error> {
    let planted = CUSTOMERS.iter().try_for_each(|customer| plant_one(db, customer));
    planted.and_then(|()| api_keys::plant(db, CUSTOMERS[0].created_at)).map_err(|problem| match problem {
        Problem::Database(error) => error,
        other => Error::ToSqlConversionFailure(other.to_string().into()),
    })
}

fn plant_one(db: &Connection, customer: &Customer) -> Result<(), Problem> {
    let tenant = customer.tenant();
    tenants::insert(db, &tenant, Some(&tenant), customer.api_calls)?;
    for (name, role) in [("admin", Role::Admin), ("manager", Role::Manager), ("employee", Role::Employee)] {
        let email = format!("{name}@{}", customer.domain);
        users::insert(db, tenant.created_at, &tenant.id, (&email, role), None)?;
    }
    furnish(db, &tenant.id)?;
    stripe_seed::plant(db, &tenant)?;
    let details = json!({"name": tenant.name, "plan": tenant.plan, "billingCycle": tenant.billing_cycle});
    audit::write(db, tenant.created_at, &tenant.id, "tenant.created", audit::SEED, &details)?;
    if let Some((reason, at)) = customer.suspended {
        let details = json!({"from": Status::Active, "to": Status::Suspended, "reason": reason});
        audit::write(db, at, &tenant.id, "tenant.suspended", audit::SEED, &details)?;
    }
    Ok(())
}

/// The scheduled jobs of a tenant.
pub(crate) fn furnish(db: &Connection, id: &str) -> Result<(), Problem> {
    for job in JOBS {
        db.execute("INSERT INTO jobs (tenant_id, name) VALUES (?1, ?2)", params![id, job])?;
    }
    Ok(())
}

impl Customer {
    fn tenant(&self) -> Tenant {
        let suspended = self.suspended;
        Tenant {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            email: format!("admin@{}", self.domain),
            plan: self.plan,
            billing_cycle: self.billing_cycle,
            status: if suspended.is_some() { Status::Suspended } else { Status::Active },
            suspension_reason: suspended.map(|(reason, _)| reason.to_owned()),
            suspended_at: suspended.map(|(_, at)| at),
            reactivation_reason: None,
            reactivated_at: None,
            stripe_customer_id: Some(self.stripe_customer_id.to_owned()),
            created_at: self.created_at,
            updated_at: suspended.map_or(self.created_at, |(_, at)| at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_the_comment_names() {
        let written: Vec<String> = CUSTOMERS.iter().map(|c| c.created_at.to_string()).collect();
        let days = ["2024-01-15", "2024-03-04", "2024-06-10", "2025-02-03", "2025-02-03"];
        assert_eq!(written, days.map(|day| format!("{day}T09:00:00.000Z")));
        let (_, at) = CUSTOMERS[2].suspended.unwrap();
        assert_eq!(at.to_string(), "2025-11-03T09:00:00.000Z");
    }
}
