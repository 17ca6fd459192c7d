"""Aliyun's short messages (Dysmsapi 2017-05-25): signature, parameters, signatures and templates that were approved, flow
control of a number, receipts asked for and receipts pushed. Source: vendor-protocols 3.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import re
import threading
import urllib.parse

import frame

VERSION = "2017-05-25"
TOLERANCE_S = 15 * 60
CHINA = datetime.timezone(datetime.timedelta(hours=8))
PHONES_MAX, OUT_ID_MAX, PARAM_MAX, PAGE_MAX = 1000, 256, 35, 50
SIGNED_ALWAYS = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")
LIMITS = ((60, 1, "触发分钟级流控Permits:1"), (3600, 5, "触发小时级流控Permits:5"), (86400, 10, "触发天级流控Permits:10"))
TEXT, TEXT_ABROAD = "您的验证码为：${code}，请勿泄露于他人！", "Your code is ${code}. Do not share it."


def percent(text):
    return urllib.parse.quote(text, safe="-_.~")


def china_time(at):
    return datetime.datetime.fromtimestamp(at, CHINA).strftime("%Y-%m-%d %H:%M:%S")


class Aliyun(frame.Vendor):
    name = "aliyun"
    ops = {"send": "SendSms", "query": "QuerySendDetails"}
    sends = {"report": "a delivery report"}
    options = {"access_key_id": "LTAIfakeAccessKey", "access_key_secret": "fakeAliyunSecret", "security_token": "",
               "sign_name": "视算新里程科技", "templates": "SMS_271525576", "templates_abroad": "SMS_900000001",
               "report_url": "", "account": "OK"}

    def started(self):
        self.nonces, self.messages, self.n, self.ahead_s = {}, [], 0, 0
        self.fates = {}  # number -> err_code of what does not arrive
        real = self.clock
        self.clock = lambda: real() + self.ahead_s

    def settings(self):
        return {"ALIBABA_CLOUD_ACCESS_KEY_ID": self.option["access_key_id"],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.option["access_key_secret"],
                "ALIYUN_SMS_SIGN_NAME": self.option["sign_name"], "LULAB_ALIYUN_SMS_URL": self.url}

    def op(self, request):
        return {"SendSms": "send", "QuerySendDetails": "query"}.get(request.headers.get("x-acs-action"))

    # ---- answers ----

    def request_id(self):
        self.n += 1
        return "51A1FAKE-0000-5000-8000-%012d" % self.n

    def gateway(self, status, code, message):
        return frame.Answer(status, body={"Code": code, "Message": message, "RequestId": self.request_id(),
                                          "HostId": "dysmsapi.aliyuncs.com",
                                          "Recommend": "https://api.aliyun.com/troubleshoot?q=" + code})

    def no(self, status, code, message):
        self.refuse(self.gateway(status, code, message), "%s: %s" % (code, message))

    def failed(self, request):
        return self.gateway(500, "InternalError", "The request processing has failed due to some unknown error.")

    def limited(self, request):
        return self.gateway(429, "Throttling.User", "Request was denied due to user flow control.")

    def said(self, code, message, **more):
        """HTTP 200, whatever the code."""
        answer = frame.Answer(body={"Code": code, "Message": message, "RequestId": self.request_id(), **more})
        if code != "OK":
            self.refuse(answer, "%s: %s" % (code, message))
        return answer

    # ---- signature ----

    def check_signature(self, request):
        head, options = request.headers, self.option
        match = re.fullmatch(r"ACS3-HMAC-SHA256 Credential=([^,]*),\s*SignedHeaders=([^,]*),\s*Signature=([0-9a-f]{64})",
                             head.get("authorization", ""))
        if not match:
            self.no(400, "IncompleteSignature", "Authorization is not ACS3-HMAC-SHA256 with its three parts.")
        key, names, signature = match.group(1), match.group(2).split(";"), match.group(3)
        if key != options["access_key_id"]:
            self.no(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        must = set(SIGNED_ALWAYS) | {n for n in head if n.startswith("x-acs-")} | ({"content-type"} & set(head))
        missing = sorted(n for n in must if n not in names or not head.get(n))
        if missing or names != sorted(names):
            self.no(400, "IncompleteSignature", "not there, not signed or not in order: " + ", ".join(missing))
        if head["x-acs-content-sha256"] != hashlib.sha256(request.body).hexdigest():
            self.no(400, "InvalidContentSha256", "x-acs-content-sha256 is not that of the body.")
        self.check_freshness(head["x-acs-date"])
        canonical = "\n".join([
            request.method, request.path, "&".join("%s=%s" % (percent(n), percent(v)) for n, v in sorted(request.query)),
            "".join("%s:%s\n" % (n, head.get(n, "").strip()) for n in names), ";".join(names),
            head["x-acs-content-sha256"]])
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        ours = hmac.new(options["access_key_secret"].encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(ours, signature):
            self.no(400, "SignatureDoesNotMatch", "server string to sign is: %r of %r" % (to_sign, canonical))
        if head.get("x-acs-security-token", "") != options["security_token"]:
            self.no(400, "InvalidSecurityToken.MismatchWithAccessKey", "The security token does not fit.")
        if head["x-acs-signature-nonce"] in self.nonces:
            self.no(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self.nonces[head["x-acs-signature-nonce"]] = self.clock()

    def check_freshness(self, text):
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
                raise ValueError
            at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError:
            self.no(400, "InvalidTimeStamp.Format", "x-acs-date is not yyyy-MM-ddTHH:mm:ssZ.")
        if abs(at - self.clock()) > TOLERANCE_S:
            self.no(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")

    # ---- requests ----

    def handle(self, request):
        self.check_signature(request)
        if request.headers["x-acs-version"] != VERSION:
            self.no(404, "InvalidVersion", "Specified parameter Version is not valid.")
        if request.path != "/" or request.method not in ("POST", "GET"):
            self.no(404, "InvalidAction.NotFound", "Specified api is not found.")
        names = [n for n, _ in request.query]
        if len(names) != len(set(names)):
            self.no(400, "InvalidParameter", "a parameter occurs twice")
        parameters = dict(request.query)
        action = self.op(request)
        if action == "send":
            return self.send_sms(parameters)
        if action == "query":
            return self.query_details(parameters)
        self.no(404, "InvalidAction.NotFound", "Specified api is not found.")

    def required(self, parameters, *names):
        for name in names:
            if not parameters.get(name):
                self.no(400, "Missing" + name, "%s is mandatory for this action." % name)
        return [parameters[name] for name in names]

    def unknown(self, parameters, *known):
        strange = set(parameters) - set(known)
        if strange:
            self.no(400, "InvalidParameter", "not of this action: " + ", ".join(sorted(strange)))

    # ---- SendSms ----

    def send_sms(self, parameters):
        self.unknown(parameters, "PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId", "SmsUpExtendCode")
        numbers, sign, template = self.required(parameters, "PhoneNumbers", "SignName", "TemplateCode")
        out_id = parameters.get("OutId", "")
        if self.option["account"] != "OK":
            self.said(self.option["account"], "the account is not in order")
        if len(out_id.encode()) > OUT_ID_MAX:
            self.said("isv.INVALID_PARAMETERS", "参数异常: OutId")
        if sign != self.option["sign_name"]:
            self.said("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
        abroad = template in self.option["templates_abroad"].split(",")
        if not abroad and template not in self.option["templates"].split(","):
            self.said("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模版")
        numbers = self.numbers(numbers, abroad)
        content = self.filled(TEXT_ABROAD if abroad else TEXT, parameters.get("TemplateParam", ""))
        for number in numbers:
            self.check_flow(number, sign)
        self.n += 1
        biz_id = "%d^0" % (900000000000000000 + self.n)
        for number in numbers:
            self.messages.append({"number": number, "sign": sign, "template": template, "out_id": out_id, "biz_id": biz_id,
                                  "at": self.clock(), "content": "【%s】%s" % (sign, content), "status": 1, "err_code": "",
                                  "reported_at": None})
            self.acts.append({"op": "send", "phone": number, "sign": sign, "template": template, "out_id": out_id,
                              "biz_id": biz_id, "param": json.loads(parameters.get("TemplateParam") or "{}")})
        if self.option["report_url"]:
            threading.Thread(target=self.cmd_report, kwargs={"biz_id": biz_id}, daemon=True).start()
        return self.said("OK", "OK", BizId=biz_id)

    def numbers(self, text, abroad):
        numbers = text.split(",")
        if len(numbers) > PHONES_MAX:
            self.said("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制")
        pattern = r"(?:\+|00)?[1-9]\d{4,19}" if abroad else r"(?:\+86|0086|86)?(1[3-9]\d{9})"
        for number in numbers:
            if not re.fullmatch(pattern, number):
                self.said("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
        return [n if abroad else re.fullmatch(pattern, n).group(1) for n in numbers]

    def filled(self, text, param):
        try:
            values = json.loads(param) if param else {}
        except ValueError:
            values = None
        if not isinstance(values, dict):
            self.said("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
        for name in re.findall(r"\${(\w+)}", text):
            if name not in values:
                self.said("isv.TEMPLATE_MISSING_PARAMETERS", "模版缺少变量")
            value = values[name]
            if not isinstance(value, str):
                self.said("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
            if len(value) > PARAM_MAX:
                self.said("isv.PARAM_LENGTH_LIMIT", "参数超出长度限制")
            if "://" in value:
                self.said("isv.PARAM_NOT_SUPPORT_URL", "不支持URL")
            if name == "code" and not re.fullmatch(r"[0-9A-Za-z]{4,6}", value):
                self.said("isv.TEMPLATE_PARAMS_ILLEGAL", "模版变量里包含非法关键字")
            text = text.replace("${%s}" % name, value)
        return text

    def check_flow(self, number, sign):
        for span_s, most, message in LIMITS:
            since = self.clock() - span_s
            if sum(m["number"] == number and m["sign"] == sign and m["at"] > since for m in self.messages) >= most:
                self.said("isv.BUSINESS_LIMIT_CONTROL", message)

    # ---- QuerySendDetails ----

    def query_details(self, parameters):
        self.unknown(parameters, "PhoneNumber", "SendDate", "PageSize", "CurrentPage", "BizId")
        number, date, size, page = self.required(parameters, "PhoneNumber", "SendDate", "PageSize", "CurrentPage")
        if not re.fullmatch(r"\d{8}", date):
            self.said("isv.INVALID_PARAMETERS", "SendDate")
        if not size.isdigit() or not 1 <= int(size) <= PAGE_MAX or not page.isdigit() or int(page) < 1:
            self.said("isv.INVALID_PARAMETERS", "PageSize, CurrentPage")
        number = re.sub(r"^(\+86|0086)", "", number)
        found = [m for m in self.messages if m["number"] == number and parameters.get("BizId", "") in ("", m["biz_id"])
                 and china_time(m["at"])[:10].replace("-", "") == date]
        page, size = int(page), int(size)
        rows = []
        for m in found[(page - 1) * size:page * size]:
            row = {"PhoneNum": m["number"], "SendStatus": m["status"], "ErrCode": m["err_code"], "OutId": m["out_id"],
                   "TemplateCode": m["template"], "Content": m["content"], "SendDate": china_time(m["at"])}
            if m["reported_at"]:
                row["ReceiveDate"] = china_time(m["reported_at"])
            rows.append(row)
        return self.said("OK", "OK", TotalCount=len(found), SmsSendDetailDTOs={"SmsSendDetailDTO": rows})

    # ---- commands ----

    def cmd_undeliverable(self, number, err_code="MK:0001"):
        """What is sent to this number from now on does not arrive."""
        self.fates[number] = err_code

    def cmd_later(self, seconds):
        """The vendor's clock goes on by so much."""
        self.ahead_s += seconds

    def cmd_account(self, code):
        """What SendSms answers whatever is sent: isv.AMOUNT_NOT_ENOUGH; OK again."""
        self.option["account"] = code

    def cmd_arrive(self, biz_id=None):
        """The carrier tells what became of the messages (of one request, or all): nothing is pushed."""
        with self.lock:
            for m in self.messages:
                if m["status"] == 1 and biz_id in (None, m["biz_id"]):
                    m["err_code"] = self.fates.get(m["number"], "DELIVERED")
                    m["status"] = 3 if m["err_code"] == "DELIVERED" else 2
                    m["reported_at"] = self.clock()

    def cmd_report(self, biz_id=None, url=None):
        """The same, pushed to the webhook, one after the other; gives the answers."""
        self.cmd_arrive(biz_id)
        with self.lock:
            reports = [{"phone_number": m["number"], "send_time": china_time(m["at"]),
                        "report_time": china_time(m["reported_at"]), "success": m["status"] == 3, "err_code": m["err_code"],
                        "err_msg": "", "sms_size": "1", "biz_id": m["biz_id"], "out_id": m["out_id"]}
                       for m in self.messages if biz_id in (None, m["biz_id"])]
        return [self.push(url or self.option["report_url"], [r]) for r in self.disturbed(reports, "report")]

    def cmd_push(self, url, body):
        """Any body, as it is."""
        return self.push(url, body)

    def push(self, url, body):
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        try:
            acked = answer.status == 200 and type(json.loads(text).get("code")) is int
        except (ValueError, AttributeError):
            acked = False
        return {"status": answer.status, "acknowledged": acked, "body": text}
