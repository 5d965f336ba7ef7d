"""Apple's reasons: what each means for us, and what the operator has to do."""

from __future__ import annotations

_KEY = "check key, key_id and team of {table}: they must be of one key and one team"

# Nothing of this app can be sent until somebody mends the configuration.
CREDENTIALS = {
    "BadCertificate": "replace the cert of {table}",
    "BadCertificateEnvironment": "the cert of {table} is for the other environment (sandbox or production)",
    "BadTopic": "the name of {table} is not the bundle identifier of an app",
    "BadEnvironmentKeyIdInToken": "the key of {table} is not for this environment (sandbox or production)",
    "BadEnvironmentKeyInToken": "the key of {table} is not for this environment (sandbox or production)",
    "Forbidden": "Apple forbids it: " + _KEY,
    "InvalidProviderToken": _KEY,
    "MissingProviderToken": "add key, key_id and team to {table}, or a cert",
    "MissingTopic": "the cert of {table} is for several apps, and none was named",
    "TopicDisallowed": "{topic} is not an app of the team of {table}, or its cert or key is not for it",
    "UnrelatedKeyIdInToken": "an earlier push of this connection used a key of another team: " + _KEY,
}
# Theirs, or too many; with seconds to wait where Apple says none (0: our own backoff).
RETRY = {
    "IdleTimeout": 0.0,
    "InternalServerError": 0.0,
    "ServiceUnavailable": 0.0,
    "Shutdown": 0.0,
    "TooManyProviderTokenUpdates": 60.0,
    "TooManyRequests": 0.0,
}
# This push can never be sent. Reasons that are not listed stand for themselves.
REFUSED = {
    "BadPath": "check server of the app's table",
    "DeviceTokenNotForTopic": "the token is of another app than {topic}; the app registers pn-param={param}",
    "MissingDeviceToken": "the Contact has an empty pn-prid",
    "PayloadTooLarge": "shorten the pn- parameters of the Contact",
}
