#!/usr/bin/python3
"""Calls that are forwarded to controllers."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib

TCP = "daemon.listen=127.0.0.1:0"
GZIP = 2  # GRPC_COMPRESS_GZIP


class Forward(lib.Case):
    def start(self, serve=lib.echo, **kwargs):
        """A registry, a controller "n1", and a channel to the registry."""
        self.registry = self.daemon(TCP)
        self.n1 = self.controller(serve, **kwargs)
        self.client = self.channel(self.registry)
        self.client.register("n1", self.n1.address)


class Compression(Forward):
    def test_compressed_messages_arrive_whole(self):
        self.start(grpc__default_compression_algorithm=GZIP)
        client = self.channel(
            self.registry, grpc__default_compression_algorithm=GZIP
        )
        sent = [b"a" * 5000, b"", os.urandom(5000), b"b" * 100000]
        received = client.stream("/t/Echo", sent, metadata=lib.to("n1"))
        self.assertEqual(list(received), sent)


if __name__ == "__main__":
    lib.main()
