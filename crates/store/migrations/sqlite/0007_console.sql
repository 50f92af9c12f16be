-- An operator who searches for an order number does not know whose it is.
CREATE INDEX payments_order ON payments (order_no, id);
