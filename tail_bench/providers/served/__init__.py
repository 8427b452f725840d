"""`rm-server/MODEL`: reward models behind an HTTP server.

wire: what is asked and what comes back · vllm, sglang, tei, openrlhf, nim: one form of server each · asking: HTTP ·
detect: which server it is · handshake: whether its scores can be taken as they are · options · rm_server: the provider.
"""
