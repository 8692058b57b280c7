"""Proof that no acknowledged tap is lost: kill -9, power cuts and failing disks, against the product's own parts."""
