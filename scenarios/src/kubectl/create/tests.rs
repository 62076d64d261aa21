//! The generators against the fake server: recorded outputs of dry runs, and what is sent.

use serde_json::json;

use super::super::fake_server::FakeServer;

fn dry_run(line: &str) -> String {
    let printed = FakeServer::default().kubectl(&format!("{line} --dry-run=client -o yaml"));
    assert_eq!(printed.stderr, "", "{line}");
    printed.stdout
}

#[test]
fn roles_get_a_rule_for_each_group() {
    let expected = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: cr
rules:
- apiGroups:
  - \"\"
  resources:
  - pods
  verbs:
  - get
- apiGroups:
  - apps
  resources:
  - deployments
  verbs:
  - get
";
    assert_eq!(dry_run("create clusterrole cr --verb=get --resource=pods,deployments.apps"), expected);
}

#[test]
fn an_ingress_says_what_its_rules_say() {
    let expected = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  rules:
  - host: shop.test
    http:
      paths:
      - backend:
          service:
            name: web
            port:
              number: 80
        path: /
        pathType: Prefix
status:
  loadBalancer: {}
";
    assert_eq!(dry_run("create ingress shop --rule=shop.test/*=web:80"), expected);
}

#[test]
fn a_priority_class_and_an_exposed_deployment() {
    let class = "\
apiVersion: scheduling.k8s.io/v1
description: low
kind: PriorityClass
metadata:
  name: low
preemptionPolicy: PreemptLowerPriority
value: -5
";
    assert_eq!(dry_run("create priorityclass low --value=-5 --description=low"), class);
    let mut server = FakeServer::default();
    server.kubectl("create deployment shop --image=nginx:1.26");
    let service = "\
apiVersion: v1
kind: Service
metadata:
  labels:
    app: shop
  name: shop
spec:
  ports:
  - port: 80
    protocol: TCP
    targetPort: 80
  selector:
    app: shop
status:
  loadBalancer: {}
";
    assert_eq!(server.kubectl("expose deployment shop --port=80 --dry-run=client -o yaml").stdout, service);
}

#[test]
fn what_is_created_is_told_by_its_kind() {
    let mut server = FakeServer::default();
    let cron_job = json!({"metadata": {"name": "nightly", "namespace": "default", "uid": "u"}, "spec": {"jobTemplate":
        {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}}}});
    server.objects.insert("cronjobs/default/nightly".into(), cron_job);
    for (line, expected) in [
        ("create secret generic s --from-literal=user=admin", "secret/s created\n"),
        ("create secret docker-registry r --docker-username=u --docker-password=p", "secret/r created\n"),
        ("create job manual --from=cronjob/nightly", "job.batch/manual created\n"),
        ("create cj tick --image=busybox --schedule=@daily -- date", "cronjob.batch/tick created\n"),
        ("create svc loadbalancer lb --tcp=80", "service/lb created\n"),
        ("create service externalname ext --external-name example.com", "service/ext created\n"),
        ("create quota q --hard=pods=5,cpu=2 -o name", "resourcequota/q\n"),
        ("create pdb shop --selector=app=shop --min-available=1", "poddisruptionbudget.policy/shop created\n"),
        (
            "create rolebinding b --role=r --serviceaccount=default:x",
            "rolebinding.rbac.authorization.k8s.io/b created\n",
        ),
        ("run once --image=nginx --port=80 --expose", "service/once created\npod/once created\n"),
    ] {
        let printed = server.kubectl(line);
        assert_eq!((printed.stdout.as_str(), printed.stderr.as_str()), (expected, ""), "{line}");
    }
    assert_eq!(server.objects["secrets/default/s"]["data"]["user"], "YWRtaW4=");
    let job = &server.objects["jobs/default/manual"];
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(job["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "u");
    assert_eq!(server.objects["services/default/lb"]["spec"]["ports"][0]["targetPort"], 80);
    assert_eq!(server.objects["services/default/once"]["spec"]["selector"], json!({"run": "once"}));
}

#[test]
fn refusals_are_introduced() {
    let mut server = FakeServer::default();
    server.kubectl("create secret generic s");
    let again = server.kubectl("create secret generic s");
    assert_eq!(again.stderr, "error: failed to create secret secrets \"s\" already exists\n");
    server.kubectl("create service clusterip web --tcp=80");
    let again = server.kubectl("create service clusterip web --tcp=80");
    assert_eq!(again.stderr, "error: failed to create ClusterIP service: services \"web\" already exists\n");
}
