"""Sparkplug B: edge nodes and their devices over MQTT, as a host application of the Sparkplug 3.0 specification."""
