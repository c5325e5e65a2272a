-- The account of the service key moderates nothing, whoever gave it a role.
UPDATE users SET service_role = 'USER'
WHERE service_role <> 'USER'
  AND id IN (SELECT user_id FROM outside_identities WHERE issuer = 'parley' AND subject = 'service');
