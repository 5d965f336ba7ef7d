"""Top floor: everything an operator touches.

Configuration (`settings`, `config`), the command line (`cli`), the children of a node without a
configuration (`embedded`, `development_ca`), putting a node together and running it (`assembly`, `serve`),
and what it tells about itself (`admin`, `event_log`, `log`). Settings flow down into the rooms below; frozen
event records come up through one `emit(event)`. Nobody below imports this room.

Words: option (one key of one section), origin (where its value came from), member, drain.
"""
