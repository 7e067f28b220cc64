//! Terraform: `terraform show -json` of a state or a plan, and `.tf` files.
