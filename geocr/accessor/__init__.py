"""`ds.geocr`: the methods of geocr on xarray objects. A third door to the flow that the command line and `predict_scene` open."""
