"""Values of repositories, apps and deployments."""
