-- Owner: internal/identity/client
-- The command line of realms that exist may sign in by the device grant, like
-- that of new ones, unless somebody has changed its grant types.
UPDATE clients SET version = version + 1, settings = REPLACE(settings, '"grant_types":["authorization_code","refresh_token"]',
	'"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]')
	WHERE id = 'cardea-cli' AND built_in AND NOT deleted;
