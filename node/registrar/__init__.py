"""The registrar (RFC 3261 section 10; 3327 Path, 3608 Service-Route, 5626 outbound, 5627 GRUU, 8599 push).

A REGISTER becomes one atomic change of one address of record in the location service, and
the answer lists what the location service then holds. `contact` reads what the phone asks
for, `offer` says which push services can wake it, `answer` writes what it hears, `registrar`
is the stage between them, `static` keeps the bindings of a file alive.
Words: binding, instance, reg-id, GRUU, prid (push identity).
"""
