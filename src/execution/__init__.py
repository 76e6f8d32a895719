"""Accounting, costs, orders and what fills them. The ledger here is the only one."""
