#!/usr/bin/python3 -B
"""Server reflection, checked with protobuf's own descriptors, and grpcurl."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from google.protobuf import descriptor_pb2, descriptor_pool

import lib

TCP = "daemon.listen=127.0.0.1:0"
PACKAGES = "grpc.reflection.v1", "grpc.reflection.v1alpha"
FILE, SYMBOL, EXTENSION, NUMBERS, LIST = 3, 4, 5, 6, 7
NOT_FOUND = 5

METHODS = {
    "oim.v0.Registry": [
        "RegisterController",
        "GetControllers",
        "SetValue",
        "GetValues",
    ],
    "oim.v0.Controller": [
        "MapVolume",
        "UnmapVolume",
        "ProvisionMallocBDev",
        "CheckMallocBDev",
    ],
    "oim.admin.v1.Admin": [
        "GetStatus",
        "ListControllers",
        "ListBDevs",
        "ListMappings",
        "WatchEvents",
    ],
    "grpc.health.v1.Health": ["Check", "List", "Watch"],
    "grpc.reflection.v1.ServerReflection": ["ServerReflectionInfo"],
    "grpc.reflection.v1alpha.ServerReflection": ["ServerReflectionInfo"],
}


class Reflection(lib.Case):
    def setUp(self):
        super().setUp()
        self.d = self.daemon(TCP, "controller.here.plane=null")
        self.c = self.channel(self.d)

    def ask(self, *requests, package=PACKAGES[0]):
        """The responses, each as its fields."""
        method = "/%s.ServerReflection/ServerReflectionInfo" % package
        responses = [lib.fields(r) for r in self.c.stream(method, requests)]
        for request, response in zip(requests, responses):
            self.assertEqual(response[2], [request])
        self.assertEqual(len(requests), len(responses))
        return responses

    def services(self, package):
        reply = self.ask(lib.field(LIST, "*"), package=package)[0]
        listed = lib.fields(reply[6][0])[1]
        return [lib.fields(s)[1][0].decode() for s in listed]

    def files(self, request, **kwargs):
        """The files in the response, by their names."""
        reply = self.ask(request, **kwargs)[0]
        found = {}
        for data in lib.fields(reply[4][0])[1]:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            found[file.name] = file
        return found

    def pool(self, files):
        pool = descriptor_pool.DescriptorPool()
        left = dict(files)
        while left:
            for name, file in list(left.items()):
                if not any(d in left for d in file.dependency):
                    pool.Add(left.pop(name))
        return pool

    def test_all_services_are_listed(self):
        for package in PACKAGES:
            with self.subTest(package):
                self.assertEqual(
                    sorted(self.services(package)), sorted(METHODS)
                )

    def test_what_is_not_served_is_not_listed(self):
        d = self.daemon(TCP, "registry.enabled=no")
        self.c = self.channel(d)
        services = self.services(PACKAGES[0])
        self.assertNotIn("oim.v0.Registry", services)
        self.assertNotIn("oim.v0.Controller", services)

    def test_every_service_is_described_with_all_it_needs(self):
        for package in PACKAGES:
            for service, methods in METHODS.items():
                with self.subTest(package + " " + service):
                    files = self.files(
                        lib.field(SYMBOL, service), package=package
                    )
                    found = self.pool(files).FindServiceByName(service)
                    self.assertEqual([m.name for m in found.methods], methods)

    def test_any_symbol_leads_to_its_file(self):
        for symbol, name in {
            "oim.v0.Registry.GetValues": "oim/v0/oim.proto",
            "oim.v0.CephParams": "oim/v0/oim.proto",
            "oim.v0.CephParams.secret": "oim/v0/oim.proto",
            "grpc.health.v1.Health": "grpc/health/v1/health.proto",
            "grpc.health.v1.HealthCheckResponse.ServingStatus": (
                "grpc/health/v1/health.proto"
            ),
        }.items():
            with self.subTest(symbol):
                self.assertIn(name, self.files(lib.field(SYMBOL, symbol)))

    def test_a_file_comes_with_what_it_imports(self):
        files = self.files(lib.field(FILE, "oim/v0/oim.proto"))
        self.pool(files).FindMessageTypeByName("oim.v0.MapVolumeRequest")
        self.assertIn("google/protobuf/descriptor.proto", files)

    def test_the_public_message_is_shown(self):
        files = self.files(lib.field(SYMBOL, "oim.v0.Controller"))
        controller = self.pool(files).FindServiceByName("oim.v0.Controller")
        request = controller.methods_by_name["MapVolume"].input_type
        self.assertEqual(request.full_name, "oim.v0.MapVolumeRequest")
        self.assertEqual(
            [f.name for f in request.fields], ["volume_id", "malloc", "ceph"]
        )

    def test_what_is_not_there_is_an_answer_and_no_end(self):
        unknown = [
            lib.field(FILE, "no/such.proto"),
            lib.field(FILE, ""),
            lib.field(SYMBOL, "oim.v0.NoSuch"),
            lib.field(SYMBOL, "oim.v0"),
            lib.field(SYMBOL, "oim.state.v1.BDev"),
            lib.field(SYMBOL, "x" * 100000),
            lib.field(EXTENSION, lib.message("oim.v0.Value", 1)),
            lib.field(NUMBERS, "oim.v0.NoSuch"),
        ]
        responses = self.ask(*unknown, lib.field(NUMBERS, "oim.v0.Value"))
        for request, response in zip(unknown, responses):
            with self.subTest(request[:30]):
                error = lib.fields(response[7][0])
                self.assertEqual(error[1], [NOT_FOUND])
        self.assertEqual(lib.fields(responses[-1][5][0]), {1: [b"oim.v0.Value"]})

    def test_a_request_for_nothing_is_refused(self):
        for request in b"", lib.message("host"):
            with self.assertFails("INVALID_ARGUMENT", "asks for nothing"):
                self.ask(request)

    def test_one_stream_may_ask_often(self):
        self.ask(*[lib.field(SYMBOL, "oim.v0.Registry")] * 500)


GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.1"


@functools.cache
def find_grpcurl():
    """Where it is, or None. If go is here it is built, once for all runs."""
    path = shutil.which("grpcurl")
    if path or not shutil.which("go"):
        return path
    path = os.path.join(lib.ROOT, "build", "grpcurl")
    if not os.path.exists(path):
        with tempfile.TemporaryDirectory(prefix="oim-test-") as directory:
            env = {"GOPATH": directory, "GOFLAGS": "-modcacherw"}
            try:
                subprocess.run(
                    ["go", "install", GRPCURL],
                    env={**os.environ, **env},
                    check=True,
                    capture_output=True,
                    timeout=150,
                )
            except subprocess.SubprocessError:
                return None
            own = "%s.%d" % (path, os.getpid())
            shutil.copy(directory + "/bin/grpcurl", own)
            os.rename(own, path)
    return path


class Grpcurl(lib.Case):
    """The client that most people have, which is made of grpc-go."""

    def run_grpcurl(self, *args):
        return subprocess.run(
            [find_grpcurl(), "-plaintext", *args],
            check=True,
            capture_output=True,
            text=True,
            timeout=lib.PATIENCE,
        ).stdout

    def setUp(self):
        super().setUp()
        if not find_grpcurl():
            self.skipTest("there is no grpcurl, and go cannot build it")
        self.d = self.daemon(TCP, "controller.here.plane=null")

    def test_it_lists_and_describes(self):
        out = self.run_grpcurl(self.d.address, "list")
        self.assertEqual(sorted(out.split()), sorted(METHODS))
        out = self.run_grpcurl(self.d.address, "describe", "oim.v0.DBEntry")
        self.assertIn("string controller_id = 1;", out)

    def test_it_calls_by_json(self):
        request = json.dumps({"controllerId": "n1", "address": "unix:/n1"})
        method = "oim.v0.Registry/RegisterController"
        self.run_grpcurl("-d", request, self.d.address, method)
        method = "oim.v0.Registry/GetControllers"
        out = self.run_grpcurl(self.d.address, method)
        self.assertIn(json.loads(request), json.loads(out)["entries"])

    def test_it_calls_a_controller(self):
        for method, request in (
            ("ProvisionMallocBDev", {"bdevName": "b", "size": 1 << 20}),
            ("CheckMallocBDev", {"bdevName": "b"}),
        ):
            self.run_grpcurl(
                *("-H", "controllerid: here"),
                *("-d", json.dumps(request)),
                self.d.address,
                lib.CONTROLLER[1:] + method,
            )


if __name__ == "__main__":
    lib.main()
