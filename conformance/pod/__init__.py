"""A pod on this machine: containers of rendered manifests as processes in namespaces.

Needs root, bubblewrap, util-linux and iproute2. A field that is not simulated is an error (`fields`); what is
taken as it is and has no effect here, `fields.WITHOUT_EFFECT` names. docs/pod.md says what follows of that.
"""
