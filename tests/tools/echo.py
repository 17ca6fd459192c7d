"""A vendor for the test of the simulator's frame: says back what it is told."""

from frame import Answer, Vendor


class Echo(Vendor):
    name = "echo"
    ops = {"say": "POST /say", "count": "GET /count"}
    sends = {"event": "what it sends by itself"}
    options = {"word": "hello"}

    def settings(self):
        return {"ECHO_BASE": self.url, "ECHO_WORD": self.option["word"]}

    def op(self, request):
        return request.path.strip("/") if request.path.strip("/") in self.ops else None

    def handle(self, request):
        if request.path == "/say":
            said = request.json()
            if not isinstance(said, dict) or "text" not in said:
                self.refuse(Answer(422, body={"code": "text"}), "there is no text")
            self.acts.append(said)
            return Answer(201, {"X-Word": self.option["word"]}, {"target": request.target, "query": request.query, **said})
        if request.path == "/count":
            return Answer(body=(b"%d\n" % i for i in range(int(request.arg("to")))))
        if request.path == "/take":
            return Answer(101, {"Upgrade": "echo"}, take_over=lambda stream: stream.write(stream.exactly(5)[::-1]))
        return super().handle(request)

    def cmd_order(self, n):
        return self.disturbed(list(range(n)), "event")

    def cmd_wrong(self):
        return 1 // 0
